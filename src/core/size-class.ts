/*
 * Sizes in bytes that decide where a file is hashed.
 */

/** The event loop hashes files up to this size itself; worker threads hash larger ones, one in a job. */
export const inlineBytes: number = 1024 * 1024;

/** Hashing a larger file takes so long that other changes must not wait for it. */
export const largeBytes: number = 64 * 1024 * 1024;

/** Hashing a larger file takes so long that large programs must not wait for it. */
export const hugeBytes: number = 1024 * 1024 * 1024;
