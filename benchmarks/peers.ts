/** Python (and npm) peers from the folder that NODULE_PEERS names; see README.md. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NoduleError } from '../src/errors.js'

/** Milliseconds by case and peer. */
export type PeerTimes = Record<string, Record<string, number>>

export function peersFolder(): string | undefined {
  const folder = process.env['NODULE_PEERS']
  return folder === undefined || folder === '' ? undefined : folder
}

/** peers/NAME.py, which is not compiled to dist/. */
export function scriptPath(name: string): string {
  for (const up of ['.', '../../benchmarks']) {
    const path = fileURLToPath(new URL(`${up}/peers/${name}`, import.meta.url))
    if (existsSync(path)) return path
  }
  throw new NoduleError('FILE', 'the script of the peers is missing', { path: `benchmarks/peers/${name}` })
}

/** Runs peers/`script` on the cases; {} without NODULE_PEERS. */
export async function runPeers(
  script: string,
  request: { threads: number; seconds: number; cases: Record<string, object> },
): Promise<PeerTimes> {
  const folder = peersFolder()
  if (folder === undefined) return {}
  const python = join(folder, 'bin', 'python')
  const threads = String(request.threads)
  const child = spawn(python, [scriptPath(script)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  child.stdin.end(JSON.stringify(request))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0)
    throw new NoduleError('UNAVAILABLE', `${script} failed with exit status ${code}`, { path: python })
  return JSON.parse(output) as PeerTimes
}

/** An npm package that was installed below NODULE_PEERS (`npm install --prefix $NODULE_PEERS NAME`), if it is. */
export function peerPackage(name: string): unknown {
  const folder = peersFolder()
  if (folder === undefined || !existsSync(join(folder, 'node_modules', name))) return undefined
  return createRequire(join(folder, 'peers.cjs'))(name)
}

/** Writes arrays to files that peers read, calls `use` with their paths, removes them. */
export async function withFiles<T>(
  arrays: Record<string, NodeJS.ArrayBufferView>,
  use: (paths: Record<string, string>) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'nodule-peers-'))
  try {
    const paths: Record<string, string> = {}
    for (const [name, array] of Object.entries(arrays)) {
      const path = join(folder, name)
      await writeFile(path, array)
      paths[name] = path
    }
    return await use(paths)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
