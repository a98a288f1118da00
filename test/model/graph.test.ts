import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseHypes, readHypes } from '../../src/config/hypes.js'
import { readPatchHypes } from '../../src/config/patch_hypes.js'
import { buildBackbone } from '../../src/model/backbones/registry.js'
import { graphShapes, paddingOf } from '../../src/model/graph.js'
import { weightSpecs } from '../../src/model/weights.js'

const shapesOf = (name: string, file = `hypes/${name}.json`): ReturnType<typeof graphShapes> => {
  const hypes = readHypes(file)
  return graphShapes(buildBackbone(hypes), hypes.image_height, hypes.image_width)
}

describe('backbones', () => {
  it('InceptionV1 has the sizes of the paper (table 1) at stride 32 and 8', () => {
    const shapes = shapesOf('lstm_rezoom_lung')
    expect(shapes.get('InceptionV1/Mixed_5c')).toEqual({ height: 8, width: 11, channels: 1024, stride: 32 })
    expect(shapes.get('InceptionV1/Mixed_3b')).toEqual({ height: 32, width: 44, channels: 256, stride: 8 })
    for (const [name, channels] of Object.entries({ '3c': 480, '4b': 512, '4e': 528, '4f': 832, '5b': 832 }))
      expect(shapes.get(`InceptionV1/Mixed_${name}`)!.channels).toBe(channels)
  })

  it('ResNet-101 has 33 units, stride 8 behind block 1 and 32 behind block 3', () => {
    const shapes = shapesOf('lstm_resnet_rezoom_lung')
    expect(shapes.get('resnet_v1_101/block1')).toEqual({ height: 32, width: 44, channels: 256, stride: 8 })
    expect(shapes.get('resnet_v1_101/block4')).toEqual({ height: 8, width: 11, channels: 2048, stride: 32 })
    const units = [...shapes.keys()].filter((name) => name.endsWith('bottleneck_v1/conv3'))
    expect(units.length).toBe(33)
  })

  it('lung has stride 4 for the early layer and 8 for the top, and the grid of its hypes', () => {
    const hypes = readHypes('hypes/lung_modern.json')
    const graph = buildBackbone(hypes)
    const shapes = graphShapes(graph, hypes.image_height, hypes.image_width)
    expect(shapes.get(graph.early)).toEqual({ height: 24, width: 24, channels: 48, stride: 4 })
    expect(shapes.get(graph.top)).toEqual({ height: 12, width: 12, channels: 96, stride: 8 })
    expect([hypes.grid_height, hypes.grid_width, hypes.region_size]).toEqual([12, 12, 8])
    expect(graph.channels).toBe(5)
  })

  it('has as many weights as published', () => {
    const count = (name: string, scope: string, kinds: RegExp): number => {
      const hypes = readHypes(`hypes/${name}.json`)
      return weightSpecs(hypes, buildBackbone(hypes))
        .filter((spec) => spec.name.startsWith(scope) && kinds.test(spec.name))
        .reduce((sum, spec) => sum + spec.shape.reduce((a, b) => a * b, 1), 0)
    }
    // TF-slim's inception_v1_test.py: 5,607,184 model variables of the base (its batch norm has no gamma).
    const slim = /\/(weights|beta|moving_mean|moving_variance)$/
    expect(count('lstm_rezoom_lung', 'InceptionV1/', slim)).toBe(5_607_184)
    // torchvision's resnet101: 44,549,160 parameters, 2,049,000 of them in the classifier.
    const learned = /\/(weights|beta|gamma)$/
    expect(count('lstm_resnet_rezoom_lung', 'resnet_v1_101/', learned)).toBe(44_549_160 - 2_049_000)
  })

  it('is pruned to what top and early layer need', () => {
    const hypes = readHypes('hypes/overfeat.json')
    const names = buildBackbone(hypes).nodes.map((node) => node.name)
    expect(names.at(-1)).toBe('InceptionV1/Mixed_5b')
    expect(names.some((name) => name.includes('Mixed_5c'))).toBe(false)
  })

  it('names a layer that does not exist', () => {
    const hypes = parseHypes({ slim_top_lname: 'Mixed_9z' })
    expect(() => buildBackbone(hypes)).toThrow(/slim_top_lname: no such layer: .*received "Mixed_9z"/)
  })

  it('pads as TensorFlow does', () => {
    expect(paddingOf(352, 7, 2, 'same')).toEqual([2, 3])
    expect(paddingOf(352, 7, 2, 'centered')).toEqual([3, 3])
    expect(paddingOf(5, 3, 1, 'same')).toEqual([1, 1])
    expect(paddingOf(6, 1, 2, 'same')).toEqual([0, 0])
    expect(paddingOf(6, 2, 2, 'same')).toEqual([0, 0])
    expect(paddingOf(7, 2, 2, 'same')).toEqual([0, 1])
  })

  it('every hypes file builds a backbone that fits its grid', () => {
    for (const file of readdirSync('hypes')) {
      if (readFileSync(`hypes/${file}`, 'utf8').includes('"kind": "patches"')) {
        expect(readPatchHypes(`hypes/${file}`).kind).toBe('patches')
        continue
      }
      const hypes = readHypes(`hypes/${file}`)
      const graph = buildBackbone(hypes)
      const top = graphShapes(graph, hypes.image_height, hypes.image_width).get(graph.top)!
      expect([file, top.width, top.height, top.stride]).toEqual([
        file,
        hypes.grid_width,
        hypes.grid_height,
        hypes.region_size,
      ])
    }
  })
})
