import { verifyParts } from "./verify.ts";

/** The work of a verifier's thread. */
export default verifyParts;
