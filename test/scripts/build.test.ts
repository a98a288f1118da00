import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CUDA_COMMAND } from '../../src/inference/session.js'
import { PACKAGE_ROOT } from '../../src/version.js'

const folder = mkdtempSync(join(tmpdir(), 'nodule-scripts-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A folder that stands for the package's root, with these of its files. */
function rootWith(name: string, files: readonly string[]): string {
  const root = join(folder, name)
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    cpSync(join(PACKAGE_ROOT, file), join(root, file), { recursive: true })
  }
  return root
}

function runScript(
  root: string,
  name: string,
  env: NodeJS.ProcessEnv = {},
): { status: number | null; output: string } {
  const result = spawnSync(process.execPath, [join(root, 'scripts', name)], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
  })
  return { status: result.status, output: result.stdout + result.stderr }
}

describe('what a failed build tells', async () => {
  const { firstError, suspectOf } = (await import(join(PACKAGE_ROOT, 'scripts/build-errors.mjs'))) as {
    firstError: (output: string) => string
    suspectOf: (output: string, chosen: { onednn: boolean; cuda: boolean }) => string | undefined
  }
  const both = { onednn: true, cuda: true }
  const openCl = `-- Looking for a CUDA compiler
-- Looking for a CUDA compiler - NOTFOUND
CMake Error at /usr/share/cmake-3.25/Modules/FindPackageHandleStandardArgs.cmake:230 (message):
  Could NOT find OpenCL (missing: OpenCL_LIBRARY OpenCL_INCLUDE_DIR)
Call Stack (most recent call first):
  /usr/lib/x86_64-linux-gnu/cmake/dnnl/FindOpenCL.cmake:163 (find_package_handle_standard_args)
  /usr/lib/x86_64-linux-gnu/cmake/dnnl/dnnl-config.cmake:70 (find_package)
`
  const nvcc = `[ 10%] Building CUDA object native/hu/hu_cuda.cu.o
nvcc fatal   : Unsupported gpu architecture 'compute_30'
make[2]: *** [CMakeFiles/nodule.dir/build.make:76: CMakeFiles/nodule.dir/native/hu/hu_cuda.cu.o] Error 1
`
  const ours = `/x/native/hu/hu_cpu.cpp:3:1: error: 'foo' does not name a type\n`

  it('names the cause in one line', () => {
    expect(firstError(openCl)).toBe('Could NOT find OpenCL (missing: OpenCL_LIBRARY OpenCL_INCLUDE_DIR)')
    expect(firstError(ours)).toBe("/x/native/hu/hu_cpu.cpp:3:1: error: 'foo' does not name a type")
    expect(firstError('-- fine\n')).toBe('no error was printed')
  })

  it('leaves out what the errors name, then the rest of what may be left out, then nothing', () => {
    expect(suspectOf(openCl, both)).toBe('onednn')
    expect(suspectOf(nvcc, both)).toBe('cuda')
    expect(suspectOf(nvcc, { onednn: true, cuda: false })).toBe('onednn')
    expect(suspectOf(ours, { onednn: false, cuda: true })).toBe('cuda')
    expect(suspectOf(openCl, { onednn: false, cuda: false })).toBeUndefined()
  })
})

describe('npm run build', () => {
  it('leaves no file of a source that is gone', () => {
    const scripts = ['build', 'write-commit', 'native-code', 'steps'].map((name) => `scripts/${name}.mjs`)
    const root = rootWith('build', [...scripts, 'package.json', 'CMakeLists.txt'])
    for (const name of ['src/old', 'native']) mkdirSync(join(root, name), { recursive: true })
    symlinkSync(join(PACKAGE_ROOT, 'node_modules'), join(root, 'node_modules'))
    const compilerOptions = { outDir: 'dist', rootDir: '.', module: 'nodenext', types: [], declaration: true }
    writeFileSync(join(root, 'tsconfig.build.json'), JSON.stringify({ compilerOptions, include: ['src'] }))
    writeFileSync(join(root, 'src/new.ts'), 'export const a = 1\n')
    writeFileSync(join(root, 'src/old/gone.ts'), 'export const b = 2\n')
    expect(runScript(root, 'build.mjs').status).toBe(0)
    expect(readdirSync(join(root, 'dist/src/old')).sort()).toEqual(['gone.d.ts', 'gone.js'])

    rmSync(join(root, 'src/old'), { recursive: true })
    const { status, output } = runScript(root, 'build.mjs')
    expect(status).toBe(0)
    expect(output).toContain('removed dist/src/old/gone.js: its source is gone')
    expect(readdirSync(join(root, 'dist/src/old'))).toEqual([])
    expect(readdirSync(join(root, 'dist')).sort()).toEqual(['native-code', 'src'])
    expect(readdirSync(join(root, 'dist/src')).sort()).toEqual(['new.d.ts', 'new.js', 'old'])
  })
})

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the install of the package', () => {
  const scripts = ['scripts/preinstall.mjs', 'scripts/install.mjs', 'scripts/steps.mjs', 'package.json']
  const libraries = (root: string): string =>
    join(root, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64')

  /** An installed package, with onnxruntime-node's real scripts beside it. */
  function installed(name: string): string {
    const root = rootWith(name, [
      ...scripts,
      'node_modules/onnxruntime-node/script',
      'node_modules/onnxruntime-node/package.json',
    ])
    for (const dependency of ['adm-zip', 'global-agent'])
      symlinkSync(join(PACKAGE_ROOT, 'node_modules', dependency), join(root, 'node_modules', dependency))
    return root
  }

  it("keeps onnxruntime-node's postinstall off the network", () => {
    const root = installed('consumer')
    expect(runScript(root, 'preinstall.mjs')).toEqual({ status: 0, output: '' })
    expect(readdirSync(libraries(root))).toHaveLength(3)
    for (const file of readdirSync(libraries(root)))
      expect(statSync(join(libraries(root), file)).size).toBe(0)
    // With a proxy that is not there, any download would fail.
    const env = {
      GLOBAL_AGENT_HTTP_PROXY: 'http://127.0.0.1:9',
      GLOBAL_AGENT_HTTPS_PROXY: 'http://127.0.0.1:9',
    }
    const script = '../node_modules/onnxruntime-node/script/install.js'
    expect(runScript(root, script, env)).toEqual({ status: 0, output: '' })
    // What is advised to whoever wants CUDA downloads in spite of the empty files.
    const [node, ...advised] = CUDA_COMMAND.split(' ')
    expect(node).toBe('node')
    const asked = spawnSync(process.execPath, advised, { cwd: root, encoding: 'utf8', env })
    expect(asked.stderr).toMatch(/ECONNREFUSED|ENOTFOUND/)
    expect(readFileSync(join(PACKAGE_ROOT, 'README.md'), 'utf8')).toContain(CUDA_COMMAND)
    rmSync(libraries(root), { recursive: true })
    expect(runScript(root, script, env).status).not.toBe(0)
  })

  it('leaves the choice to whoever made one, and a clone alone', () => {
    const root = installed('chosen')
    for (const name of ['ONNXRUNTIME_NODE_INSTALL', 'npm_config_onnxruntime_node_install'])
      expect(runScript(root, 'preinstall.mjs', { [name]: 'cuda12' }).status).toBe(0)
    writeFileSync(join(root, 'tsconfig.build.json'), '{}')
    expect(runScript(root, 'preinstall.mjs').status).toBe(0)
    expect(existsSync(libraries(root))).toBe(false)
  })

  it('never fails for the lack of a compiler, and says what follows', () => {
    const build = [
      'scripts/build-addon.mjs',
      'scripts/build-errors.mjs',
      'scripts/native-code.mjs',
      'CMakeLists.txt',
    ]
    const root = rootWith('no-compiler', [...scripts, ...build])
    mkdirSync(join(root, 'native'))
    const { status, output } = runScript(root, 'install.mjs', { PATH: '/nowhere' })
    expect(status).toBe(0)
    expect(output).toContain('cmake is not installed')
    expect(output).toContain(
      'nodule: no native kernels: it runs in JavaScript, many times slower. See: npx nodule doctor',
    )
    expect(runScript(root, 'install.mjs', { PATH: '/nowhere', NODULE_ADDON: 'none' })).toEqual({
      status: 0,
      output: '',
    })
  })
})
