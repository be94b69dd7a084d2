import type { Actor, HintSink, Step } from "../../core/change/hint.ts";
import { joinPath } from "../../core/path.ts";
import type { RuleIndex } from "../../core/policy/rule.ts";
import type { FanotifyEvent, NamedEntry } from "../../linux/fanotify.ts";
import { appeared, inodeSteps, isReplaced, oldEntryOf, stepsOf } from "./steps.ts";
import type { Marker } from "./marks.ts";
import type { Directory, FileName, Inodes } from "./inodes.ts";

export interface TrackerOptions {
  readonly index: RuleIndex;
  readonly inodes: Inodes;
  readonly marker: Marker;
  readonly sink: HintSink;
}

/** When it was read, and by whom it was done, which is asked as late as can be: what it concerns is marked before. */
export interface Circumstance {
  readonly at: number;
  readonly actor: () => Actor | undefined;
}

/** A name in a directory that is marked. No name: the directory itself. */
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

/** Events -> hints. Follows directories and files through renames, and marks what appears before it says so. */
export class Tracker {
  readonly #options: TrackerOptions;
  /** Inodes whose number of names changed. Whether one of ours was lost is asked when all events are taken. */
  readonly #doubtful = new Map<string, Circumstance>();
  /** Renames. Whether what was moved is where the last of them says is asked when all events are taken. */
  #departures: Departure[] = [];
  /** Before Linux 5.17: the first half of a rename, if the next event is the second. */
  #leaving:
    | { readonly place: Place; readonly event: FanotifyEvent; readonly circumstance: Circumstance }
    | undefined;

  constructor(options: TrackerOptions) {
    this.#options = options;
  }

  take(event: FanotifyEvent, circumstance: Circumstance): void {
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

  /** After the last of the events that were read together. */
  settle(): void {
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
        if (marker.isAt(key, file)) this.#say(this.#pathOf(file), ["linked"], when);
        else inodes.removeFile(key, file);
      }
    this.#doubtful.clear();
    marker.rest();
  }

  #entry(event: FanotifyEvent, entry: NamedEntry, circumstance: Circumstance): void {
    const places = this.#placesOf(entry);
    // A directory that went and another that came at its name can be one event: then nothing is to be joined.
    const isLeaving = event.bits.includes("movedFrom") && !isReplaced(event);
    const steps = stepsOf(event.bits).filter((step) => step !== "renamed" || !isLeaving);
    for (const place of places) {
      if (place.name !== undefined) this.#follow(event, { ...place, name: place.name });
      if (!event.isDirectory) this.#lead(place.path, circumstance);
      if (!this.#isRelevant(place, event.isDirectory)) continue;
      this.#say(place.path, steps, circumstance);
      if (event.isDirectory && appeared(event.bits) && place.name !== undefined)
        this.#sayTree(place.path, "a directory appeared", circumstance);
    }
    if (isLeaving && places[0]) this.#leaving = { place: places[0], event, circumstance };
    this.#otherNames(event, places, circumstance);
  }

  /** A link on the way to what is watched: it leads elsewhere now. */
  #lead(path: string, circumstance: Circumstance): void {
    const { marker } = this.#options;
    const roots = marker.rootsBeyond(path);
    if (roots.length > 0) marker.cover(path);
    for (const root of roots) this.#sayTree(root, "a link on the way to it changed", circumstance);
  }

  /** What was removed is forgotten, then what is there now is marked: the disk has the last word. */
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

  /** Written or changed through one name: that holds for the file's other watched names too. */
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
      this.#say(path, steps, { ...circumstance, ...(through === undefined ? {} : { through }) });
    }
  }

  /** An event without a name: of an inode whose names changed in number, or that was reached without one. */
  #object(event: FanotifyEvent, object: string, circumstance: Circumstance): void {
    const { inodes } = this.#options;
    const steps = stepsOf(event.bits).filter((step) => step !== "attributes");
    for (const file of inodes.files(object)) this.#say(this.#pathOf(file), steps, circumstance);
    for (const dir of inodes.directories(object))
      this.#say(inodes.pathOf(dir), stepsOf(event.bits), circumstance);
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
      const told = from === undefined ? circumstance : { ...circumstance, from };
      this.#say(place.path, ["renamed"], told);
      if (event.isDirectory && (!moved || inodes.size > before))
        this.#sayTree(place.path, "a directory was moved here", circumstance);
    }
    this.#departures.push({ moved, olds, circumstance });
    if (arrived.length > 0) return;
    for (const place of olds)
      if (this.#isRelevant(place, event.isDirectory))
        this.#say(place.path, ["renamed"], circumstance);
  }

  /** Like renames are merged: what was moved there, back and there again is not where the last event says. */
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

  /** The directory, if it was known, now at its new place. */
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

  /** The directory that had this place: by its handle if the kernel tells it, else by what is noted there. */
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

  #say(
    path: string,
    steps: readonly Step[],
    { actor: whose, ...told }: Circumstance & { readonly from?: string; readonly through?: string },
  ): void {
    const actor = whose();
    const by = actor ? { ...told, actor } : told;
    for (const step of steps)
      this.#options.sink({ kind: "path", engine: "fanotify", path, step, ...by });
  }

  #sayTree(path: string, why: string, { at }: Circumstance): void {
    this.#options.sink({ kind: "tree", engine: "fanotify", at, path, why });
  }
}
