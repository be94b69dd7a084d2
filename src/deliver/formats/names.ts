/** What a configuration may give as the format of a sink. */
export const formatNames = ["standard"] as const;
export type FormatName = (typeof formatNames)[number];
