/** Finds the addons' files: built here, or prebuilt in an optional package of the platform; never one of other sources. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describeError } from '../errors.js'
import { IN_CLONE, NATIVE_CODE, PACKAGE_ROOT, PACKAGE_VERSION } from '../version.js'

/** What both addons export: the package's version and the name of the sources that they were built from. */
interface Build {
  readonly version?: string
  readonly code?: string
}

export interface Found<T> {
  addon?: T
  /** Where it was loaded from; '' without it. */
  path: string
  /** Why there is none: one reason for each file that was looked at. */
  problem?: string
}

export interface Places {
  /** Folders that may hold the file, the first choice first. */
  folders: readonly string[]
  version: string
  /** The sources that this JavaScript was built with; undefined: not known, only versions are compared. */
  code: string | undefined
}

/** The package that carries the addons for this platform, such as @nodule-ct/linux-x64. */
export const PREBUILT_PACKAGE = `@nodule-ct/${process.platform}-${process.arch}`

/** build/ was made on purpose (for CUDA, say) and comes before the prebuilt package, unless it is of another version. */
function usualPlaces(): Places {
  const folders = [join(PACKAGE_ROOT, 'build', 'Release')]
  try {
    const manifest = createRequire(join(PACKAGE_ROOT, 'package.json')).resolve(
      `${PREBUILT_PACKAGE}/package.json`,
    )
    folders.push(dirname(manifest))
  } catch {
    // not installed
  }
  return { folders, version: PACKAGE_VERSION, code: NATIVE_CODE }
}

/**
 * Loads the first file that can be loaded and fits this JavaScript. Never throws.
 * @param file 'nodule.node' or 'nodule_tensor.node'
 * @param wanted the path of the only file to try; 'none': no file; undefined or '': wherever it is
 */
export function loadAddon<T extends object>(
  file: string,
  wanted: string | undefined,
  places: Places = usualPlaces(),
): Found<T> {
  if (wanted === 'none') return { path: '', problem: `${file} is switched off by its environment variable` }
  const require = createRequire(import.meta.url)
  const named = wanted !== undefined && wanted !== ''
  const paths = named ? [wanted] : places.folders.map((folder) => join(folder, file))
  const problems: string[] = []
  for (const path of paths) {
    if (!existsSync(path)) {
      problems.push(`${path}: no such file`)
      continue
    }
    try {
      const addon = require(path) as T & Build
      const problem = misfit(addon, places)
      if (problem === undefined) return { addon, path }
      problems.push(`${path}: ${problem}`)
    } catch (error) {
      problems.push(`${path}: ${describeError(error)}`)
    }
  }
  return { path: '', problem: problems.join('; ') }
}

/** Why an addon must not be used: its functions take other arguments than this JavaScript passes. */
function misfit({ version, code }: Build, wanted: Places): string | undefined {
  if (version === wanted.version && (wanted.code === undefined || code === wanted.code)) return undefined
  const named = (v: string | undefined, c: string | undefined): string =>
    `${v ?? 'unknown'} (sources ${c ?? 'unknown'})`
  return `built for nodule ${named(version, code)}, but this is ${named(wanted.version, wanted.code)}`
}

/** What builds the addons again: in a clone the set-up, which installs what it needs where it may. */
export const BUILD_COMMAND = IN_CLONE ? 'npm run setup' : 'npx nodule engine install native'
