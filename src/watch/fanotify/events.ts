import type { Actor, HintSink, Step } from "../../core/change/hint.ts";
import { joinPath } from "../../core/path.ts";
import type { RuleIndex } from "../../core/policy/rule.ts";
import type { FanotifyEvent, NamedEntry } from "../../linux/fanotify.ts";
import { appeared, inodeSteps, isReplaced, oldEntryOf, stepsOf } from "./steps.ts";
import { inodeOfKey } from "../../linux/handles.ts";
import type { Marker } from "./marks.ts";
import type { Directory, FileName, Inodes } from "./inodes.ts";

interface TrackerOptions {
  readonly index: RuleIndex;
  readonly inodes: Inodes;
  readonly marker: Marker;
  readonly sink: HintSink;
}

/** Time of reading, and the actor, described as late as possible so that marks come first. */
interface Circumstance {
  readonly at: number;
  readonly actor: () => Actor | undefined;
  /** The number of the event's inode, where known. */
  readonly ino?: string;
}

/** A name in a marked directory. No name: the directory itself. */
interface Place {
  readonly dir: Directory;
  readonly name?: string;
  readonly path: string;
}

interface Departure {
  readonly moved: Directory | undefined;
  readonly olds: readonly Place[];
  readonly circumstance: Circumstance;
}

/**
 * Turns events into hints. Follows directories and files through renames, and marks a new directory before its hint.
 */
export class Tracker {
  readonly #options: TrackerOptions;
  /** Inodes whose link count changed. Checked after all events of a reading. */
  readonly #doubtful = new Map<string, Circumstance>();
  /** Renames. Checked after all events of a reading. */
  #departures: Departure[] = [];
  /** Before Linux 5.17: the first half of a rename, if the next event is the second. */
  #leaving:
    | { readonly place: Place; readonly event: FanotifyEvent; readonly circumstance: Circumstance }
    | undefined;

  constructor(options: TrackerOptions) {
    this.#options = options;
  }

  take(event: FanotifyEvent, given: Circumstance): void {
    const ino = event.object === undefined ? undefined : inodeOfKey(event.object);
    const circumstance = ino === undefined ? given : { ...given, ino };
    const leaving = this.#leaving;
    this.#leaving = undefined;
    if (leaving) {
      const isSecond = event.bits.includes("movedTo") && event.pid === leaving.event.pid;
      if (isSecond && event.entry && leaving.event.entry) {
        const joined = { ...event, oldEntry: leaving.event.entry, newEntry: event.entry };
        this.#rename(joined, circumstance);
        return;
      }
      this.#rename({ ...leaving.event, ...oldEntryOf(leaving.event) }, leaving.circumstance);
    }
    if (event.oldEntry || event.newEntry) this.#rename(event, circumstance);
    else if (event.entry) this.#entry(event, event.entry, circumstance);
    else if (event.object !== undefined) this.#object(event, event.object, circumstance);
  }

  /** Call it after the last event of a reading. */
  endRead(): void {
    const { inodes, marker } = this.#options;
    if (this.#leaving) {
      const { event, circumstance } = this.#leaving;
      this.#leaving = undefined;
      this.#rename({ ...event, ...oldEntryOf(event) }, circumstance);
    }
    const departures = this.#departures;
    this.#departures = [];
    for (const departure of departures) this.#lookBack(departure);
    for (const [key, when] of this.#doubtful)
      for (const file of inodes.files(key)) {
        if (marker.isAt(key, file)) this.#give(this.#pathOf(file), ["linked"], when);
        else inodes.removeFile(key, file);
      }
    this.#doubtful.clear();
    marker.rest();
  }

  #entry(event: FanotifyEvent, entry: NamedEntry, circumstance: Circumstance): void {
    const places = this.#placesOf(entry);
    // A directory that left and another that took its name can be one event: nothing to join.
    const isLeaving = event.bits.includes("movedFrom") && !isReplaced(event);
    const steps = stepsOf(event.bits).filter((step) => step !== "renamed" || !isLeaving);
    for (const place of places) {
      if (place.name !== undefined) this.#follow(event, { ...place, name: place.name });
      if (!event.isDirectory) this.#lead(place.path, circumstance);
      if (!this.#isRelevant(place, event.isDirectory)) continue;
      this.#give(place.path, steps, circumstance);
      if (event.isDirectory && appeared(event.bits) && place.name !== undefined)
        this.#sayTree(place.path, "a directory appeared", circumstance);
    }
    if (isLeaving && places[0]) this.#leaving = { place: places[0], event, circumstance };
    this.#otherNames(event, places, circumstance);
  }

  /** A symbolic link on the way to a watched path now leads elsewhere. */
  #lead(path: string, circumstance: Circumstance): void {
    const { marker } = this.#options;
    const roots = marker.rootsBeyond(path);
    if (roots.length > 0) marker.cover(path);
    for (const root of roots) this.#sayTree(root, "a link on the way to it changed", circumstance);
  }

  /** Forgets the removed inode, then marks what the path names now. */
  #follow(event: FanotifyEvent, place: Required<Place>): void {
    const { inodes, marker } = this.#options;
    const { object, isDirectory } = event;
    if (event.bits.includes("delete") || isReplaced(event)) {
      if (isDirectory) this.#forgetDirectory(object, place);
      else if (object !== undefined) inodes.removeFile(object, place);
    }
    if (!appeared(event.bits) || !this.#isRelevant(place, isDirectory)) return;
    if (isDirectory) marker.cover(place.path);
    else marker.attach(place);
  }

  /** A write through one name changes the file's other watched names too. */
  #otherNames(event: FanotifyEvent, places: readonly Place[], circumstance: Circumstance): void {
    const { inodes, marker } = this.#options;
    const { object, entry } = event;
    if (object === undefined || event.isDirectory || !entry) return;
    const steps = stepsOf(event.bits).filter((step) => inodeSteps.includes(step));
    if (steps.length === 0) return;
    for (const file of inodes.files(object)) {
      const path = this.#pathOf(file);
      if (places.some((place) => place.path === path)) continue;
      const dir = places[0] ? undefined : marker.pathOfForeign(entry.dir, file.dir);
      const through =
        places[0]?.path ?? (dir === undefined ? undefined : joinPath(dir, entry.name));
      this.#give(path, steps, { ...circumstance, ...(through === undefined ? {} : { through }) });
    }
  }

  /** An event without a name: a link count changed, or the inode was reached without a name. */
  #object(event: FanotifyEvent, object: string, circumstance: Circumstance): void {
    const { inodes } = this.#options;
    const steps = stepsOf(event.bits).filter((step) => step !== "attributes");
    for (const file of inodes.files(object)) this.#give(this.#pathOf(file), steps, circumstance);
    for (const dir of inodes.directories(object))
      this.#give(inodes.pathOf(dir), stepsOf(event.bits), circumstance);
    if (event.bits.includes("attrib") && inodes.files(object).length > 0)
      this.#doubtful.set(object, circumstance);
  }

  #rename(event: FanotifyEvent, circumstance: Circumstance): void {
    const { inodes } = this.#options;
    const olds = event.oldEntry ? this.#placesOf(event.oldEntry) : [];
    const news = event.newEntry ? this.#placesOf(event.newEntry) : [];
    const arrived = news.filter((place) => this.#isRelevant(place, event.isDirectory));
    const moved = event.isDirectory ? this.#moveDirectory(event.object, olds, arrived) : undefined;
    if (!event.isDirectory) this.#forgetFile(event.object, olds);
    const from = olds[0]?.path;
    if (!event.isDirectory)
      for (const { path } of [...olds, ...news]) this.#lead(path, circumstance);
    for (const place of arrived) {
      const before = inodes.size;
      this.#arrive(place, event.isDirectory);
      const renamed = from === undefined ? circumstance : { ...circumstance, from };
      this.#give(place.path, ["renamed"], renamed);
      if (event.isDirectory && (!moved || inodes.size > before))
        this.#sayTree(place.path, "a directory was moved here", circumstance);
    }
    this.#departures.push({ moved, olds, circumstance });
    if (arrived.length > 0) return;
    for (const place of olds)
      if (this.#isRelevant(place, event.isDirectory))
        this.#give(place.path, ["renamed"], circumstance);
  }

  /** The kernel merges equal renames: after moves to and fro the last event may not give the final place. */
  #lookBack({ moved, olds, circumstance }: Departure): void {
    const { inodes, marker } = this.#options;
    for (const place of olds)
      if (!moved && place.name !== undefined && this.#isRelevant(place, false))
        marker.attach({ dir: place.dir, name: place.name });
    if (!moved || marker.isThere(moved)) return;
    inodes.remove(moved);
    for (const place of olds) {
      const before = inodes.size;
      if (this.#isRelevant(place, true)) marker.cover(place.path);
      if (inodes.size > before)
        this.#sayTree(place.path, "a directory was moved back here", circumstance);
    }
  }

  #arrive(place: Place, isDirectory: boolean): void {
    if (isDirectory) this.#options.marker.cover(place.path);
    else if (place.name !== undefined)
      this.#options.marker.attach({ dir: place.dir, name: place.name });
  }

  /** The directory, if known, at its new place. */
  #moveDirectory(
    object: string | undefined,
    olds: readonly Place[],
    arrived: readonly Place[],
  ): Directory | undefined {
    const { inodes } = this.#options;
    const moved = olds.map((place) => this.#directoryAt(object, place)).find((dir) => dir);
    const to = arrived[0];
    if (moved && to?.name !== undefined) inodes.move(moved, to.dir, to.name);
    else if (moved) inodes.remove(moved);
    return moved;
  }

  #forgetFile(object: string | undefined, olds: readonly Place[]): void {
    for (const { dir, name } of olds)
      if (object !== undefined && name !== undefined)
        this.#options.inodes.removeFile(object, { dir, name });
  }

  #forgetDirectory(object: string | undefined, place: Place): void {
    const dir = this.#directoryAt(object, place);
    if (dir) this.#options.inodes.remove(dir);
  }

  /** The directory that had this place: by its handle if the event has one, else by the noted inode. */
  #directoryAt(object: string | undefined, { dir, name }: Place): Directory | undefined {
    const { inodes } = this.#options;
    if (name === undefined) return undefined;
    const byHandle = object === undefined ? [] : inodes.directories(object);
    const found = byHandle.find((one) => one.parent === dir && one.name === name);
    if (found) return found;
    const noted = inodes.childOf(dir, name);
    return noted && (object === undefined || noted.key === undefined) ? noted : undefined;
  }

  #placesOf({ dir: key, name }: NamedEntry): readonly Place[] {
    const { inodes } = this.#options;
    return inodes.directories(key).map((dir) => {
      const path = inodes.pathOf(dir);
      return name === "." ? { dir, path } : { dir, name, path: joinPath(path, name) };
    });
  }

  #isRelevant(place: Place, isDirectory: boolean): boolean {
    const { index } = this.#options;
    if (place.dir.reach === "extra" || index.find(place.path)) return true;
    return isDirectory && index.mayMatchBelow(place.path);
  }

  #pathOf({ dir, name }: FileName): string {
    return joinPath(this.#options.inodes.pathOf(dir), name);
  }

  #give(
    path: string,
    steps: readonly Step[],
    { actor: whose, ...rest }: Circumstance & { readonly from?: string; readonly through?: string },
  ): void {
    const actor = whose();
    const by = actor ? { ...rest, actor } : rest;
    for (const step of steps)
      this.#options.sink({ kind: "path", engine: "fanotify", path, step, ...by });
  }

  #sayTree(path: string, why: string, { at }: Circumstance): void {
    this.#options.sink({ kind: "tree", engine: "fanotify", at, path, why });
  }
}
