import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's name on a registry; the command is `nodule`. */
const PACKAGE_NAME = '@nodule-ct/nodule'

function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string }
      if (manifest.name === PACKAGE_NAME) return folder
    } catch {
      // not here: look one folder up
    }
    const parent = dirname(folder)
    if (parent === folder)
      throw new Error(`the package.json of ${PACKAGE_NAME} is missing above ${import.meta.url}`)
    folder = parent
  }
}

/** The package's root folder: the one that holds package.json, hypes/ and the addon's build folder. */
export const PACKAGE_ROOT = findPackageRoot()

/** Whether this is a clone of the repository, with its sources and `npm run setup`; not an installed package. */
export const IN_CLONE = existsSync(join(PACKAGE_ROOT, 'tsconfig.build.json'))

/** The package's version, such as 0.1.0. */
export const PACKAGE_VERSION = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }
).version

/** A line that scripts/write-commit.mjs left beside the compiled files; undefined where it is not as `pattern` says. */
function readBuildFile(name: string, pattern: RegExp): string | undefined {
  // Run from TypeScript (tests): what runs is no build, and may be no commit either.
  if (import.meta.url.endsWith('.ts')) return undefined
  try {
    const text = readFileSync(new URL(`../${name}`, import.meta.url), 'utf8').trim()
    return pattern.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

/** The sources of the addon that this JavaScript was built with (scripts/native-code.mjs); undefined: not known. */
export const NATIVE_CODE = readBuildFile('native-code', /^[0-9a-f]{16}$/)

/** `0.1.0+3f2a1b9c0d1e-dirty`, in the notation of semantic versioning; `0.1.0` where no commit is known. */
export function versionText(version: string, commit: string | undefined): string {
  return commit === undefined ? version : `${version}+${commit}`
}

/**
 * The code version that every checkpoint, model, data set, detection and report records: the package's version and,
 * where it was built from a git checkout, the commit. "-dirty" tells that a source file differed from that commit.
 */
export const VERSION = versionText(PACKAGE_VERSION, readBuildFile('commit', /^[0-9a-f]{7,64}(-dirty)?$/))
