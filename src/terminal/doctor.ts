import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { basename, join } from 'node:path'
import { describeError } from '../errors.js'
import { probeEngines } from '../engine/start.js'
import { tensorAddonProblem } from '../engine/onednn/addon.js'
import { describeNativeEngine } from '../engine/onednn/engine.js'
import { leftOut } from '../engine/onednn/install.js'
import { CUDA_COMMAND, hasCudaProvider } from '../inference/session.js'
import { shippedModel } from '../inference/shipped_model.js'
import { TENSORFLOW_INSTALL } from '../engine/tensorflow/install.js'
import { BUILD_COMMAND } from '../kernels/find_addon.js'
import { addonStatus } from '../kernels/index.js'
import { IN_CLONE, PACKAGE_ROOT, VERSION } from '../version.js'
import { greatest } from '../lists.js'

/** One thing that was looked at. */
export interface Check {
  what: string
  /**
   * 'ok'; 'optional': not there, and this machine loses nothing by it; 'missing': nodule works without it, slower or
   * with less; 'broken': the main job cannot be done.
   */
  state: 'ok' | 'optional' | 'missing' | 'broken'
  /** What was found. */
  detail: string
  /** What to do about it. */
  advice?: string
}

const require = createRequire(import.meta.url)

/** How to install the npm packages again, and how to call nodule: in a clone, and where the package is installed. */
const INSTALL_COMMAND = IN_CLONE ? 'npm run setup' : 'npm install'
const COMMAND = IN_CLONE ? 'node dist/src/cli.js' : 'npx nodule'

/** Examines the installation. Never throws: what fails is told as a check that failed. */
export async function examine(): Promise<Check[]> {
  const gpu = findGpu()
  const hasGpu = gpu.state === 'ok'
  return [
    machine(),
    node(),
    packages(),
    ...addon(hasGpu),
    ...(await engines()),
    await onnxruntime(hasGpu),
    detector(),
    gpu,
    await fonts(),
  ]
}

/** The checks as a table for people. */
export function checksText(checks: readonly Check[]): string {
  const marks = { ok: 'ok      ', optional: 'optional', missing: 'missing ', broken: 'BROKEN  ' }
  const width = greatest(checks.map((check) => check.what.length))
  const lines = checks.flatMap(({ what, state, detail, advice }) => [
    `${marks[state]}  ${what.padEnd(width)}  ${detail}`,
    ...(advice === undefined ? [] : [`${' '.repeat(12 + width)}  -> ${advice}`]),
  ])
  return `nodule ${VERSION}\n\n${lines.join('\n')}\n`
}

function machine(): Check {
  const model = cpus()[0]?.model ?? 'unknown processor'
  const memory = (totalmem() / 2 ** 30).toFixed(0)
  return {
    what: 'machine',
    state: 'ok',
    detail: `${model}, ${availableParallelism()} cores, ${memory} GiB, ${process.platform} ${process.arch}`,
  }
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const enough = major >= 24 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)
  return {
    what: 'Node.js',
    state: enough ? 'ok' : 'broken',
    detail: process.version,
    ...(enough ? {} : { advice: 'install Node 20.19, 22.12, 24 or newer' }),
  }
}

/** The version of an installed package, or undefined. Reads its manifest, since some packages do not export it. */
function packageVersion(name: string): string | undefined {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as { version: string })
        .version
    } catch {
      // not in this folder: look in the next
    }
  }
  return undefined
}

function packages(): Check {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const names = Object.keys(manifest.dependencies)
  const absent = names.filter((name) => packageVersion(name) === undefined)
  const shown = ['@tensorflow/tfjs', 'onnxruntime-node', 'dicom-parser', 'sharp']
  return absent.length > 0
    ? {
        what: 'npm packages',
        state: 'broken',
        detail: `missing: ${absent.join(', ')}`,
        advice: INSTALL_COMMAND,
      }
    : {
        what: 'npm packages',
        state: 'ok',
        detail: shown.map((name) => `${name} ${packageVersion(name)}`).join(', '),
      }
}

const COMPILER = 'apt-get install g++ make cmake'
const ONEDNN = 'apt-get install libdnnl-dev ocl-icd-opencl-dev'

/** What to do about a missing module: first what its build lacks, then the build. */
function buildAdvice(packages: readonly { program: string; install: string }[], also: string[] = []): string {
  const lacking = packages.filter(({ program }) => firstLine(program, ['--version']) === undefined)
  const installs = [...new Set(lacking.map(({ install }) => install)), ...also]
  return [...installs, BUILD_COMMAND].join(', then ')
}

const BUILD_TOOLS = ['c++', 'make', 'cmake'].map((program) => ({ program, install: COMPILER }))

function addon(hasGpu: boolean): Check[] {
  let status: ReturnType<typeof addonStatus>
  try {
    status = addonStatus()
  } catch (error) {
    return [{ what: 'native addon', state: 'broken', detail: describeError(error) }]
  }
  if (!status.available)
    return [
      {
        what: 'native addon',
        state: 'missing',
        detail: `${status.problem ?? 'not built'}; the kernels run in JavaScript, many times slower`,
        advice: buildAdvice(BUILD_TOOLS),
      },
    ]
  const built = status.cuda !== 'not built'
  const reason = built ? undefined : leftOut().cuda
  return [
    {
      what: 'native addon',
      state: 'ok',
      detail:
        `${status.version ?? ''} ${status.isa}, ${status.threads} threads (NODULE_THREADS sets them)`.trim(),
    },
    {
      what: 'CUDA kernels',
      state: built && status.cuda !== 'no device' ? 'ok' : hasGpu ? 'missing' : 'optional',
      detail: status.cuda + (reason === undefined ? '' : `: ${reason}`),
      ...(built || !hasGpu
        ? {}
        : { advice: `put the CUDA toolkit (nvcc) on the PATH, then ${BUILD_COMMAND}` }),
    },
  ]
}

async function engines(): Promise<Check[]> {
  const probed = await probeEngines()
  const automatic = probed.find((engine) => engine.reason === undefined)?.name
  const left = leftOut().onednn
  return probed.map(({ name, reason }) => {
    const what = `engine ${name}`
    if (reason === undefined) {
      const how = name === automatic ? 'trains by default here' : 'can train'
      return { what, state: 'ok', detail: how + (name === 'native' ? ` (${describeNativeEngine()})` : '') }
    }
    // TensorFlow is for whoever wants it; without any engine nobody can train.
    const state = automatic === undefined ? 'broken' : name === 'tensorflow' ? 'optional' : 'missing'
    const advice: Record<string, string> = {
      tensorflow: `to have it: ${TENSORFLOW_INSTALL}, then ${COMMAND} engine install tensorflow`,
      native: buildAdvice(BUILD_TOOLS, addonStatus().available && left === 'switched off' ? [] : [ONEDNN]),
      wasm: INSTALL_COMMAND,
    }
    if (name !== 'native') return { what, state, detail: reason, advice: advice[name]! }
    const problem = tensorAddonProblem() ?? reason
    return {
      what,
      state,
      detail: left === undefined ? problem : `${problem}; ${left}`,
      advice: advice[name]!,
    }
  })
}

async function onnxruntime(hasGpu: boolean): Promise<Check> {
  try {
    const runtime = await import('onnxruntime-node')
    // Those that the binding knows; CUDA and TensorRT also need a library that the package does not carry.
    const providers = runtime
      .listSupportedBackends()
      .map(({ name }) => name)
      .filter((name) => !['cuda', 'tensorrt'].includes(name) || hasCudaProvider())
    const lacksCuda = hasGpu && !providers.includes('cuda')
    return {
      what: 'onnxruntime',
      state: lacksCuda ? 'missing' : 'ok',
      detail:
        `${packageVersion('onnxruntime-node')}, providers: ${providers.join(', ')}` +
        (lacksCuda ? '; its CUDA libraries were not downloaded, so the CPU detects' : ''),
      ...(lacksCuda ? { advice: CUDA_COMMAND } : {}),
    }
  } catch (error) {
    return { what: 'onnxruntime', state: 'broken', detail: describeError(error), advice: INSTALL_COMMAND }
  }
}

/** The model that `detect` takes where none is named. */
function detector(): Check {
  const what = 'model of detect'
  try {
    const path = shippedModel()
    return { what, state: 'ok', detail: `${basename(path)}, on ${hasCudaProvider() ? 'CUDA' : 'the CPU'}` }
  } catch (error) {
    return { what, state: 'missing', detail: describeError(error) }
  }
}

function firstLine(command: string, args: readonly string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 })
  return result.status === 0 ? result.stdout.trim().split('\n')[0] : undefined
}

function findGpu(): Check {
  const found = firstLine('nvidia-smi', [
    '--query-gpu=name,memory.total,driver_version',
    '--format=csv,noheader',
  ])
  return found === undefined
    ? {
        what: 'NVIDIA GPU',
        state: 'optional',
        detail: 'none found by nvidia-smi; everything runs on the CPU',
      }
    : { what: 'NVIDIA GPU', state: 'ok', detail: found }
}

/** Looks at what matters: whether a label on a picture shows its letters. */
async function fonts(): Promise<Check> {
  const missing = {
    what: 'fonts',
    state: 'missing',
    advice: 'apt-get install fontconfig-config fonts-dejavu-core',
  } as const
  try {
    const [narrow, wide] = await Promise.all(['ii', 'WW'].map(inkOf))
    // Without a font nothing is drawn, or the same box for every letter.
    if (narrow! > 0 && wide! > narrow!)
      return { what: 'fonts', state: 'ok', detail: 'labels on pictures are drawn' }
    return { ...missing, detail: 'none is found: labels on pictures stay empty' }
  } catch (error) {
    return { ...missing, detail: `labels on pictures cannot be drawn: ${describeError(error)}` }
  }
}

/** How many pixels a word in the labels' font covers. */
async function inkOf(word: string): Promise<number> {
  const { default: sharp } = await import('sharp')
  const text = `<text x="4" y="30" font-family="sans-serif" font-size="24" fill="white">${word}</text>`
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40">${text}</svg>`
  const pixels = await sharp(Buffer.from(svg)).extractChannel(3).raw().toBuffer()
  return pixels.reduce((sum, value) => sum + (value > 127 ? 1 : 0), 0)
}
