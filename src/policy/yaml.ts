import { LineCounter, isMap, isNode, isScalar, parseDocument, visit } from "yaml";
import type { Alias, Document } from "yaml";

interface Fault {
  readonly line: number;
  readonly message: string;
}

/** A file that an operator wrote, with the line of each value. */
export interface YamlFile {
  /** Faults of the syntax. */
  readonly faults: readonly Fault[];
  /** The content. Undefined: the faults leave nothing to read, or the file is empty. */
  readonly raw: unknown;
  /** Whether `raw` is worth reading: only a repeated key leaves the rest of a file readable. */
  readonly isReadable: boolean;
  /** The line of a value or of its key; of a missing one, the line of the nearest thing around it. */
  readonly lineOf: (keys: readonly PropertyKey[]) => number;
}

/** Never throws. */
export function readYaml(text: string): YamlFile {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  const lineAt = (offset: number): number => counter.linePos(offset).line;
  const lineOf = (keys: readonly PropertyKey[]): number => lineAt(offsetOf(document, keys));
  const faults = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    line: lineAt(pos[0]),
    message: notValid(message),
  }));
  if (!document.errors.every(({ code }) => code === "DUPLICATE_KEY"))
    return { faults, raw: undefined, isReadable: false, lineOf };
  try {
    return { faults, raw: document.toJS({ maxAliasCount: 100 }), isReadable: true, lineOf };
  } catch (error) {
    // An alias to nothing, or aliases that multiply without end.
    const line = lineAt(lostAlias(document)?.range?.[0] ?? 0);
    const message = notValid(error instanceof Error ? error.message : "");
    return { faults: [...faults, { line, message }], raw: undefined, isReadable: false, lineOf };
  }
}

function notValid(message: string): string {
  return `not valid YAML: ${message.slice(0, 1).toLowerCase()}${message.slice(1)}`;
}

/** The first alias without an anchor. */
function lostAlias(document: Document.Parsed): Alias | undefined {
  let lost: Alias | undefined;
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document)) return undefined;
      lost = alias;
      return visit.BREAK;
    },
  });
  return lost;
}

function offsetOf(document: Document.Parsed, keys: readonly PropertyKey[]): number {
  for (let length = keys.length; length > 0; length -= 1) {
    const parent = document.getIn(keys.slice(0, length - 1), true);
    const last = keys[length - 1];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && key.value === last)
      : undefined;
    const node = pair ? pair.key : document.getIn(keys.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0] ?? 0;
}
