/** Memory that goes away while a kernel works, threads that end, and calls without input. */
import { execFileSync } from 'node:child_process'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { NoduleError } from '../../src/errors.js'
import { findAddon } from '../../src/kernels/addon.js'
import * as kernels from '../../src/kernels/index.js'

const status = kernels.addonStatus()

/** Runs a program with the addon as `addon` in a process of its own: a crash ends that one only. */
function run(program: string): string {
  const load = `const addon = require(${JSON.stringify(status.path)});`
  return execFileSync(process.execPath, ['--expose-gc', '-e', load + program], {
    encoding: 'utf8',
    timeout: 60_000,
  })
}

const BATCH = `
  const hu = (count) => ({
    slices: Array.from({ length: count }, () => new Int16Array(512 * 512)),
    slope: new Float32Array(count).fill(1), intercept: new Float32Array(count),
    paddingLow: 1, paddingHigh: 0, clampLow: -32768, clampHigh: 32767, swap: false,
    output: new Int16Array(count * 512 * 512), device: 'cpu' });`

describe.skipIf(!status.available)('the addon', () => {
  it('stands a worker thread that ends during an asynchronous kernel', () => {
    const worker = `${BATCH}
      const addon = require(process.env.ADDON);
      const batch = hu(40);
      for (let n = 0; n < 8; n++) addon.hu(batch);
      process.exit();`
    const out = run(`
      const { Worker } = require('node:worker_threads');
      process.env.ADDON = ${JSON.stringify(status.path)};
      const one = () => new Promise((done) => new Worker(${JSON.stringify(worker)}, { eval: true }).on('exit', done));
      (async () => { for (let n = 0; n < 6; n++) await one(); console.log('done'); })();`)
    expect(out).toBe('done\n')
  })

  it('keeps what it works on, whatever becomes of the argument object', () => {
    const out = run(`${BATCH}
      (async () => {
        for (let n = 0; n < 10; n++) {
          const batch = hu(20);
          const work = addon.hu(batch);
          for (const key of Object.keys(batch)) delete batch[key];
          gc();
          await work;
        }
        console.log('done');
      })();`)
    expect(out).toBe('done\n')
  })

  it('reads no array that a getter detached after it was looked at', () => {
    const out = run(`
      const size = 64 * 256 * 256;
      for (let n = 0; n < 5; n++) {
        const mask = new Uint8Array(size);
        const detach = () => { structuredClone(mask.buffer, { transfer: [mask.buffer] }); gc(); };
        const input = {
          mask, shape: Int32Array.of(64, 256, 256), invert: false,
          get output() { detach(); return new Uint8Array(size); },
          reach: Int32Array.of(0, 0, 1) };
        try { addon.dilateSync(input); console.log('ran'); } catch (error) { console.log(error.name); }
        const slices = [new Int16Array(1e6)];
        Object.defineProperty(slices, 1, { enumerable: true, get() {
          structuredClone(slices[0].buffer, { transfer: [slices[0].buffer] }); return new Int16Array(1e6); } });
        try {
          addon.huSync({ slices, slope: new Float32Array(2), intercept: new Float32Array(2), paddingLow: 1, paddingHigh: 0,
            clampLow: -1, clampHigh: 1, swap: false, output: new Int16Array(2e6), device: 'cpu' });
          console.log('ran');
        } catch (error) { console.log(error.name); }
      }`)
    expect(new Set(out.trim().split('\n'))).toEqual(new Set(['TypeError']))
  })

  it('refuses to give away a buffer that a kernel works on', async () => {
    const slices = Array.from({ length: 4 }, () => new Int16Array(512 * 512).fill(7))
    const work = kernels.huConvert(
      { slices, slope: [1, 1, 1, 1], intercept: [0, 0, 0, 0] },
      { device: 'cpu' },
    )
    const { port1, port2 } = new MessageChannel()
    const buffers = slices.map(({ buffer }) => buffer as ArrayBuffer)
    try {
      // Node 20 copies what it must not transfer, later versions throw.
      port1.postMessage(buffers, buffers)
    } catch (error) {
      expect((error as Error).name).toBe('DataCloneError')
    }
    expect(slices.map(({ length }) => length)).toEqual([262144, 262144, 262144, 262144])
    expect((await work).every((value) => value === 7)).toBe(true)
    port1.close()
    port2.close()
  })

  it.skipIf(process.platform !== 'linux')('holds the samples of one bin of RoI Align at a time', () => {
    // 48 x 48 bins of 64 x 64 samples: 600 MB together.
    const out = run(`
      const output = new Float32Array(48 * 48);
      addon.roiAlignForwardSync({
        features: new Float32Array(16).fill(1), boxes: Float32Array.of(0, 0, 4, 4), images: new Int32Array(1),
        n: 1, height: 4, width: 4, channels: 1, binsX: 48, binsY: 48, samplingRatio: 64, scale: 1,
        aligned: true, nhwc: true, output, device: 'cpu' });
      const peak = /VmHWM:\\s*(\\d+) kB/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'));
      console.log(output.every((value) => Math.abs(value - 1) < 1e-3), Number(peak[1]) < 400e3);`)
    expect(out).toBe('true true\n')
  })

  it('refuses transfer() of a buffer that a kernel works on, and allows it afterwards', async () => {
    const slices = [new Int16Array(512 * 512).fill(7)]
    const batch = { slices, slope: [1], intercept: [0] }
    const buffer = slices[0]!.buffer as ArrayBuffer & Record<'transfer' | 'transferToFixedLength', Call>
    const works = [1, 2].map(async () => kernels.huConvert(batch, { device: 'cpu' }))
    for (const name of ['transfer', 'transferToFixedLength'] as const)
      expect(() => buffer[name](0)).toThrow(
        new NoduleError(
          'INVALID_PARAMETER',
          'a kernel works on this buffer: it can be transferred afterwards',
        ),
      )
    for (const done of await Promise.all(works)) expect(done[0]).toBe(7)
    expect(Object.getOwnPropertyNames(buffer)).toEqual([])
    // Node 20 has no such method.
    if (typeof buffer.transfer === 'function') {
      buffer.transfer()
      expect(slices[0]).toHaveLength(0)
    }
  })

  it('refuses buffers that can shrink', () => {
    const Resizable = ArrayBuffer as unknown as new (
      size: number,
      o: { maxByteLength: number },
    ) => ArrayBuffer
    const slice = new Int16Array(new Resizable(64, { maxByteLength: 128 }))
    expect(() => kernels.huConvertSync({ slices: [slice], slope: [1], intercept: [0] })).toThrow(
      /Expected .* of a buffer that is not resizable for slices\[0\]/,
    )
    expect(findAddon()).toBeDefined()
  })
})

type Call = (...values: unknown[]) => unknown

describe('calls without input', () => {
  const names = Object.entries(kernels).filter(
    ([name, value]) => typeof value === 'function' && !['addonStatus', 'setThreads'].includes(name),
  ) as [string, Call][]

  it.each(names)('%s', async (_, kernel) => {
    for (const values of [[], [undefined], [null], [5], ['text'], [{}], [{}, null], [[], {}, {}]]) {
      let error: unknown
      try {
        await kernel(...values)
      } catch (thrown) {
        error = thrown
      }
      expect(error, JSON.stringify(values)).toMatchObject({ name: 'NoduleError', code: 'INVALID_PARAMETER' })
    }
  })
})
