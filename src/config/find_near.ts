import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * A path that a hypes file names, as people have it lying: beside the hypes file, in the working directory, or in the
 * folder data/ of that, where TensorBox looks for checkpoints. The prefix of a TensorFlow checkpoint counts as a file.
 * @returns the first that is there, else the one beside the hypes file
 */
export function findNear(hypes: string, path: string): string {
  const places = [resolve(dirname(hypes), path), resolve(path), resolve(join('data', path))]
  return places.find((place) => existsSync(place) || existsSync(`${place}.index`)) ?? places[0]!
}
