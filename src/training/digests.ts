/** What the data of a run held: other entries under the same name are other data. */
import { statSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { sha256 } from '../hash.js'
import { cubesIndex } from '../patches/store.js'
import { MAX_TEXT_BYTES, readRegular } from '../read_files.js'

/** SHA-256 of lists as they are on disk, by their paths relative to the run's folder. */
export type Digests = Readonly<Record<string, string>>

/** Of each list, and of a folder of cubes that of its index. What cannot be read has none: its reader tells why. */
export async function digestsOf(
  folder: string,
  { train, test }: { train: readonly string[]; test: string | undefined },
): Promise<Digests> {
  const digests: Record<string, string> = {}
  for (const place of [...train, ...(test === undefined ? [] : [test])])
    try {
      const path = statSync(place).isDirectory() ? cubesIndex(place) : place
      const content = await readRegular(path, { limit: MAX_TEXT_BYTES })
      digests[relative(resolve(folder), resolve(place))] = sha256(content)
    } catch {
      continue
    }
  return digests
}
