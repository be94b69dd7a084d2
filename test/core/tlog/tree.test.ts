import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import { hashRecord } from "../../../src/core/record/chain.ts";
import {
  isConsistent,
  isIncluded,
  proveConsistency,
  proveInclusion,
} from "../../../src/core/tlog/proof.ts";
import type { HashAt } from "../../../src/core/tlog/proof.ts";
import {
  append,
  appendSubtree,
  emptyTree,
  hashNode,
  rootOf,
  subtreesOf,
} from "../../../src/core/tlog/tree.ts";
import type { RightEdge } from "../../../src/core/tlog/tree.ts";

/** Leaves and roots that implementations of Certificate Transparency test themselves with. */
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
].map((hex) => hashRecord(Buffer.from(hex, "hex")));
const roots = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const paths: readonly (readonly [index: number, size: number, proof: readonly string[]])[] = [
  [0, 1, []],
  [
    0,
    8,
    [
      "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
  ],
  [
    5,
    8,
    [
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
  ],
  [2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]],
  [
    1,
    5,
    [
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
      "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
  ],
];
const consistencies: readonly (readonly [older: number, size: number, proof: readonly string[]])[] =
  [
    [1, 1, []],
    [
      1,
      8,
      [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
      ],
    ],
    [
      6,
      8,
      [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ],
    ],
    [
      2,
      5,
      [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      ],
    ],
    [
      6,
      7,
      [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ],
    ],
  ];

const headOfKnown = (size: number) => ({ size, root: roots[size] ?? "" });

interface Grown {
  readonly edges: readonly RightEdge[];
  readonly hashAt: HashAt;
}

/** Every tree up to these leaves, and a store that holds only what `append` said is complete. */
function grow(hashes: readonly string[]): Grown {
  const stored = new Map<string, string>();
  const edges = [emptyTree];
  for (const hash of hashes) {
    const { edge, completed } = append(edges.at(-1) ?? emptyTree, hash);
    for (const { level, index, hash: one } of completed) stored.set(`${level}/${index}`, one);
    edges.push(edge);
  }
  const hashAt: HashAt = async ({ level, index }) => {
    const hash = stored.get(`${level}/${index}`);
    if (hash === undefined) throw new Error(`subtree ${level}/${index} was never complete`);
    return hash;
  };
  return { edges, hashAt };
}

/** MTH(D[n]) of RFC 6962 §2.1, word by word. */
function naiveRoot(hashes: readonly string[]): string {
  const [only = roots[0] ?? ""] = hashes;
  if (hashes.length < 2) return only;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return hashNode(naiveRoot(hashes.slice(0, k)), naiveRoot(hashes.slice(k)));
}

const many = Array.from({ length: 130 }, (_, n) => hashRecord(Buffer.from(`leaf ${n}`)));

test("the roots of the trees that Certificate Transparency is tested with are reproduced", (t) => {
  const { edges } = grow(leaves);
  t.deepEqual(edges.map(rootOf), roots);
});

test("the known inclusion and consistency proofs are reproduced and hold", async (t) => {
  const { hashAt } = grow(leaves);
  for (const [index, size, proof] of paths) {
    t.deepEqual(await proveInclusion(index, size, hashAt), proof);
    t.true(isIncluded({ index, hash: leaves[index] ?? "" }, headOfKnown(size), proof));
  }
  for (const [older, size, proof] of consistencies) {
    t.deepEqual(await proveConsistency(older, size, hashAt), proof);
    t.true(isConsistent(headOfKnown(older), headOfKnown(size), proof));
  }
});

test("the tree that grows leaf by leaf has the root of the recursive definition, at every size up to 130", (t) => {
  const { edges } = grow(many);
  t.is(edges.length, 131);
  for (const [size, edge] of edges.entries()) {
    t.is(rootOf(edge), naiveRoot(many.slice(0, size)), String(size));
    t.is(edge.hashes.length, subtreesOf({ from: 0, size }).length);
  }
});

test("every leaf of every tree up to 130 leaves is shown to be in it, at its place only", async (t) => {
  const { edges, hashAt } = grow(many);
  for (const { size, ...edge } of edges.slice(1)) {
    const head = { size, root: rootOf({ size, ...edge }) };
    for (let index = 0; index < size; index += 1) {
      const proof = await proveInclusion(index, size, hashAt);
      const hash = many[index] ?? "";
      if (!isIncluded({ index, hash }, head, proof)) t.fail(`leaf ${index} of ${size}`);
      for (const other of [index - 1, index + 1, index ^ 2])
        if (isIncluded({ index: other, hash }, head, proof)) t.fail(`leaf ${other} of ${size}`);
    }
  }
  t.pass();
});

test("every tree up to 130 leaves is shown to go on from every smaller one", async (t) => {
  const { edges, hashAt } = grow(many);
  const heads = edges.map((edge) => ({ size: edge.size, root: rootOf(edge) }));
  for (const newer of heads) {
    for (const older of heads.slice(0, newer.size + 1)) {
      const proof = await proveConsistency(older.size, newer.size, hashAt);
      if (!isConsistent(older, newer, proof)) t.fail(`${older.size} in ${newer.size}`);
      if (older.size > 0 && isConsistent({ ...older, root: many[0] ?? "" }, newer, proof))
        t.is(older.size, 1);
    }
  }
  t.pass();
});

const flipped = (hash: string, at: number): string => {
  const bytes = Buffer.from(hash, "hex");
  bytes[at % 32] = (bytes[at % 32] ?? 0) ^ (1 << (at % 8));
  return bytes.toString("hex");
};
const sizes = fc.integer({ min: 2, max: 130 });

test("a proof with a changed, missing, doubled or foreign hash shows nothing", async (t) => {
  const { edges, hashAt } = grow(many);
  const headOf = (size: number) => ({ size, root: rootOf(edges[size] ?? emptyTree) });
  const edit = fc.constantFrom("flip", "drop", "double", "prepend", "append", "empty");
  const property = fc.asyncProperty(sizes, fc.nat(), fc.nat(), edit, async (size, n, at, how) => {
    const index = n % size;
    const older = index + 1;
    const edited = (proof: readonly string[]): readonly string[] => {
      const place = at % Math.max(proof.length, 1);
      const one = proof[place] ?? many[0] ?? "";
      if (how === "flip") return proof.with(place, flipped(one, at));
      if (how === "drop") return proof.toSpliced(place, 1);
      if (how === "double") return proof.toSpliced(place, 0, one);
      if (how === "empty") return [];
      return how === "append" ? [...proof, one] : [one, ...proof];
    };
    const path = await proveInclusion(index, size, hashAt);
    const leaf = { index, hash: many[index] ?? "" };
    t.false(isIncluded(leaf, headOf(size), edited(path)));
    if (older === size) return;
    const subproof = await proveConsistency(older, size, hashAt);
    t.false(isConsistent(headOf(older), headOf(size), edited(subproof)));
  });
  await fc.assert(property, { numRuns: 500 });
});

test("a tree that is put together of any neighbouring spans of leaves is the same tree", async (t) => {
  const { edges, hashAt } = grow(many);
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 129 }), { maxLength: 12 });
  const property = fc.asyncProperty(cuts, async (unsorted) => {
    const ends = [...unsorted.toSorted((a, b) => a - b), 130];
    let edge = emptyTree;
    for (const end of ends)
      for (const place of subtreesOf({ from: edge.size, size: end - edge.size }))
        edge = appendSubtree(edge, { ...place, hash: await hashAt(place) }).edge;
    t.deepEqual(edge, edges.at(-1));
  });
  await fc.assert(property);
});

test("a subtree is appended only where one of its size can begin", (t) => {
  const { edges } = grow(leaves);
  const [hash = ""] = leaves;
  const [, one = emptyTree, two = emptyTree] = edges;
  t.throws(() => appendSubtree(one, { level: 1, hash }), { instanceOf: RangeError });
  t.throws(() => appendSubtree(two, { level: 53, hash }), { instanceOf: RangeError });
  t.is(appendSubtree(two, { level: 1, hash }).edge.size, 4);
});

test("no leaf is in an empty tree, and a tree does not go on from a larger one", (t) => {
  const [hash = ""] = leaves;
  t.false(isIncluded({ index: 0, hash }, { size: 0, root: roots[0] ?? "" }, []));
  t.false(isIncluded({ index: 1, hash }, { size: 1, root: hash }, []));
  t.false(isIncluded({ index: -1, hash }, { size: 1, root: hash }, []));
  t.false(isConsistent({ size: 2, root: hash }, { size: 1, root: hash }, []));
  t.false(isConsistent({ size: 0, root: hash }, { size: 1, root: hash }, [hash]));
  t.true(isConsistent({ size: 0, root: roots[0] ?? "" }, { size: 1, root: hash }, []));
});

test("proofs are asked for inside the tree only", (t) => {
  const { hashAt } = grow(leaves);
  for (const [index, size] of [
    [8, 8],
    [-1, 8],
    [0, 0],
  ] as const)
    t.throws(() => proveInclusion(index, size, hashAt), { instanceOf: RangeError });
  t.throws(() => proveConsistency(9, 8, hashAt), { instanceOf: RangeError });
});

test("the places of a tree of more than 2^52 leaves are exact", (t) => {
  const size = 2 ** 53 - 1;
  const places = subtreesOf({ from: 0, size });
  t.is(places.length, 53);
  t.deepEqual(places[0], { level: 52, index: 0 });
  t.deepEqual(places.at(-1), { level: 0, index: 2 ** 53 - 2 });
  t.deepEqual(subtreesOf({ from: 0, size: 2 ** 49 - 1 })[0], { level: 48, index: 0 });
});
