import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";

/*
 * BTF: the kernel's own description of its structures (Documentation/bpf/btf.rst, include/uapi/linux/btf.h). A
 * header, then types (numbered from 1 by place), then strings.
 */

const magic = 0xeb9f;
// struct btf_header: u16 magic, u8 version, u8 flags, u32 hdr_len, type_off, type_len, str_off, str_len
const header = {
  headerSize: 4,
  typesAt: 8,
  typesSize: 12,
  stringsAt: 16,
  stringsSize: 20,
  end: 24,
};

// struct btf_type: u32 name_off, info, size or type
const typeSize = 12;
const infoAt = 4;
const referenceAt = 8;
// struct btf_member: u32 name_off, type, offset
const memberSize = 12;
const memberType = 4;
const memberOffset = 8;
// struct btf_enum: u32 name_off, s32 val
const enumSize = 8;
const enumValue = 4;

const kinds = {
  struct: 4,
  union: 5,
  enum: 6,
  volatile: 9,
  const: 10,
  restrict: 11,
  typeTag: 18,
} as const;

const qualifiers: readonly number[] = [kinds.volatile, kinds.const, kinds.restrict, kinds.typeTag];

/** Bytes behind each kind's btf_type: its own, and for each of its `vlen` parts. Other kinds are unknown. */
const extra: ReadonlyMap<number, readonly [own: number, each: number]> = new Map([
  [1, [4, 0]], // INT
  [2, [0, 0]], // PTR
  [3, [12, 0]], // ARRAY
  [kinds.struct, [0, memberSize]],
  [kinds.union, [0, memberSize]],
  [kinds.enum, [0, enumSize]],
  [7, [0, 0]], // FWD
  [8, [0, 0]], // TYPEDEF
  [kinds.volatile, [0, 0]],
  [kinds.const, [0, 0]],
  [kinds.restrict, [0, 0]],
  [12, [0, 0]], // FUNC
  [13, [0, 8]], // FUNC_PROTO
  [14, [4, 0]], // VAR
  [15, [0, 12]], // DATASEC
  [16, [0, 0]], // FLOAT
  [17, [4, 0]], // DECL_TAG
  [kinds.typeTag, [0, 0]],
  [19, [0, 12]], // ENUM64
]);

/** Qualifiers on one type: a kernel never has more. */
const mostQualifiers = 16;

/** Offsets of members in the kernel's structures. It holds the whole description: do not keep it. */
export interface Btf {
  /** Bytes from the structure's beginning. Undefined: no such member, a bit field, or two that disagree. */
  offsetOf(struct: string, member: string): number | undefined;
  /** The number behind a name of an enumeration; undefined as above. */
  valueOf(enumeration: string, name: string): number | undefined;
}

/** Undefined: the kernel has no BTF, or it is unreadable. */
export function readBtf(file: string = "/sys/kernel/btf/vmlinux"): Btf | undefined {
  try {
    return parseBtf(readFileSync(file));
  } catch {
    return undefined;
  }
}

/** Undefined: not BTF in little-endian order, cut off, or of a newer format. */
export function parseBtf(bytes: Buffer): Btf | undefined {
  if (bytes.length < header.end || bytes.readUInt16LE(0) !== magic) return undefined;
  const start = bytes.readUInt32LE(header.headerSize);
  const types = section(bytes, start + bytes.readUInt32LE(header.typesAt), header.typesSize);
  const strings = section(bytes, start + bytes.readUInt32LE(header.stringsAt), header.stringsSize);
  if (!types || !strings) return undefined;
  const places = placesOf(types);
  return places && new Types(types, strings, places);
}

function section(bytes: Buffer, from: number, sizeAt: number): Buffer | undefined {
  const to = from + bytes.readUInt32LE(sizeAt);
  return to <= bytes.length ? bytes.subarray(from, to) : undefined;
}

/** The number of a type -> where it is. */
function placesOf(types: Buffer): readonly number[] | undefined {
  const places = [-1]; // 0 is void
  for (let at = 0; at < types.length;) {
    if (at + typeSize > types.length) return undefined;
    const info = types.readUInt32LE(at + infoAt);
    const sizes = extra.get(kindOf(info));
    if (!sizes) return undefined;
    places.push(at);
    at += typeSize + sizes[0] + sizes[1] * partsOf(info);
    if (at > types.length) return undefined;
  }
  return places;
}

class Types implements Btf {
  readonly #types: Buffer;
  readonly #strings: Buffer;
  readonly #places: readonly number[];
  readonly #structs: readonly number[];
  readonly #enums: readonly number[];

  constructor(types: Buffer, strings: Buffer, places: readonly number[]) {
    this.#types = types;
    this.#strings = strings;
    this.#places = places;
    this.#structs = places.filter((at) => at >= 0 && this.#kindAt(at) === kinds.struct);
    this.#enums = places.filter((at) => at >= 0 && this.#kindAt(at) === kinds.enum);
  }

  offsetOf(struct: string, member: string): number | undefined {
    const name = stringBytes(struct);
    const found = new Set<number | undefined>();
    for (const at of this.#structs)
      if (this.#isNamed(at, name)) found.add(this.#bitsTo(at, stringBytes(member), new Set()));
    const [bits] = found;
    return found.size === 1 && bits !== undefined && bits % 8 === 0 ? bits / 8 : undefined;
  }

  valueOf(enumeration: string, name: string): number | undefined {
    const [outer, inner] = [stringBytes(enumeration), stringBytes(name)];
    const found = new Set<number | undefined>();
    for (const at of this.#enums) if (this.#isNamed(at, outer)) found.add(this.#valueIn(at, inner));
    return found.size === 1 ? [...found][0] : undefined;
  }

  #valueIn(at: number, name: Buffer): number | undefined {
    const count = partsOf(this.#types.readUInt32LE(at + infoAt));
    for (let index = 0; index < count; index += 1) {
      const part = at + typeSize + index * enumSize;
      if (this.#isNamed(part, name)) return this.#types.readInt32LE(part + enumValue);
    }
    return undefined;
  }

  /** Bits from the beginning of a structure to its member, also through anonymous structures and unions. */
  #bitsTo(at: number, name: Buffer, seen: Set<number>): number | undefined {
    if (seen.has(at)) return undefined;
    seen.add(at);
    const info = this.#types.readUInt32LE(at + infoAt);
    const count = partsOf(info);
    for (let index = 0; index < count; index += 1) {
      const member = at + typeSize + index * memberSize;
      const offset = this.#types.readUInt32LE(member + memberOffset);
      // With the kind flag the upper byte is the size of a bit field.
      const [size, bits] = hasFlag(info) ? [offset >>> 24, offset & 0xffffff] : [0, offset];
      if (this.#isNamed(member, name)) return size === 0 ? bits : undefined;
      if (this.#types.readUInt32LE(member) !== 0) continue;
      const inner = this.#structureOf(this.#types.readUInt32LE(member + memberType));
      const more = inner === undefined ? undefined : this.#bitsTo(inner, name, seen);
      if (more !== undefined) return bits + more;
    }
    return undefined;
  }

  /** Where the structure or union with this number is, without qualifiers. */
  #structureOf(number: number): number | undefined {
    let at = this.#places[number];
    for (let step = 0; step < mostQualifiers && at !== undefined && at >= 0; step += 1) {
      const kind = this.#kindAt(at);
      if (kind === kinds.struct || kind === kinds.union) return at;
      if (!qualifiers.includes(kind)) return undefined;
      at = this.#places[this.#types.readUInt32LE(at + referenceAt)];
    }
    return undefined;
  }

  #kindAt(at: number): number {
    return kindOf(this.#types.readUInt32LE(at + infoAt));
  }

  /** Whether the text at this name offset equals `name`, which ends with a NUL. */
  #isNamed(at: number, name: Buffer): boolean {
    const from = this.#types.readUInt32LE(at);
    const to = from + name.length;
    return (
      to <= this.#strings.length && this.#strings.compare(name, 0, name.length, from, to) === 0
    );
  }
}

function stringBytes(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** Five bits since Linux 5.16, four before: the fifth was zero then. */
function kindOf(info: number): number {
  return (info >>> 24) & 0x1f;
}

function partsOf(info: number): number {
  return info & 0xffff;
}

function hasFlag(info: number): boolean {
  return info >>> 31 === 1;
}
