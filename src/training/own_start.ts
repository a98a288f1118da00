import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { invalidParameter } from '../check.js'
import { NoduleError } from '../errors.js'
import { lastData } from './log.js'

/** The hypes that a run leaves in its folder, changed keys included. */
export const ownHypes = (output: string): string => join(output, 'hypes.json')

/** The options with hypes. */
export type Started<Options> = Options & { hypes: string }

/**
 * Where a run goes on and no hypes are given: those that it was started with, and its data unless others are given. Whether
 * it leaves out images that are not there it remembers in any case.
 * Throws NoduleError: INVALID_PARAMETER without hypes for a new run, FILE where there is no run.
 */
export async function withOwnStart<Options extends StartOptions>(
  options: Options,
): Promise<Started<Options>> {
  const { hypes, output, resume } = options
  const data = resume === true ? await lastData(output) : undefined
  const skipMissing = options.skipMissing ?? data?.skipMissing
  if (hypes !== undefined) return { ...options, hypes, skipMissing }
  if (resume !== true) throw invalidParameter('hypes', 'hypes file', hypes)
  const own = ownHypes(output)
  if (!existsSync(own))
    throw new NoduleError('FILE', 'there is no run to go on with', {
      path: output,
      expected: 'hypes.json, which a run leaves in its folder',
      actual: 'none',
    })
  const found = (place: string): string => (isAbsolute(place) ? place : join(output, place))
  return {
    ...options,
    hypes: own,
    skipMissing,
    train: options.train ?? (data === undefined ? undefined : [data.train].flat().map(found)),
    test: options.test ?? (data?.test === undefined ? undefined : found(data.test)),
  }
}

interface StartOptions {
  hypes?: string | undefined
  output: string
  resume?: boolean | undefined
  skipMissing?: boolean | undefined
  train?: string | readonly string[] | undefined
  test?: string | undefined
}
