import type { Session, Users } from "../store.ts";
import type { Run } from "./connect.ts";
import { plain } from "./values.ts";

/** People and programs that may read. */
export function usersOf(run: Run): Users {
  return {
    add: async (name, password, now) =>
      await run(async (sql) => {
        const { count } = await sql`INSERT INTO login (name, password, created)
          VALUES (${plain(name)}, ${password ?? null}, ${now}) ON CONFLICT DO NOTHING`;
        return count > 0;
      }),
    password: async (name) =>
      await run(async (sql) => {
        const [row] = await sql<{ password: string | null }[]>`
          SELECT password FROM login WHERE name = ${plain(name)}`;
        return row?.password ?? undefined;
      }),
    names: async () =>
      await run(async (sql) => {
        const rows = await sql<{ name: string }[]>`
          SELECT name FROM login ORDER BY name COLLATE "C"`;
        return rows.map(({ name }) => name);
      }),
    addSession: async (hash, { user, kind, created, expires }) =>
      await run(async (sql) => {
        await sql`DELETE FROM session WHERE expires <= ${created}`;
        await sql`INSERT INTO session (hash, login, kind, created, expires)
          VALUES (${hash}, ${plain(user)}, ${kind}, ${created}, ${expires ?? null})`;
      }),
    session: async (hash, now) =>
      await run(async (sql) => {
        const [row] = await sql<
          { user: string; kind: Session["kind"]; expires: number | null }[]
        >`SELECT login AS user, kind, expires FROM session
          WHERE hash = ${hash} AND (expires IS NULL OR expires > ${now})`;
        if (!row) return undefined;
        const { user, kind, expires } = row;
        return { user, kind, ...(expires !== null && { expires }) };
      }),
    endSession: async (hash) =>
      await run(async (sql) => {
        await sql`DELETE FROM session WHERE hash = ${hash}`;
      }),
  };
}
