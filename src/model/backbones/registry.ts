/** The backbones: one entry each. */
import type { BackboneName } from '../../config/backbones.js'
import type { Hypes } from '../../config/hypes.js'
import { BATCH_NORM_EPSILON, findNode, pruneGraph } from '../graph.js'
import type { BackboneGraph } from '../graph.js'
import { efficientnetLite0, efficientnetModules } from './efficientnet.js'
import { googlenetModules, inceptionV1 } from './inception.js'
import { resnetModules, resnetV1 } from './resnet.js'
import type { Units } from './resnet.js'
import { lung, tiny } from './small.js'
import { IMAGENET_MEAN, IMAGENET_STANDARD, SYMMETRIC } from './types.js'
import type { Backbone } from './types.js'
import { vgg16, vggModules } from './vgg.js'

/** TF-slim's ResNet; weights of its resnet_v1_*.ckpt. */
function slimResnet(scope: string, units: Units): Backbone {
  return {
    reference: `TF-slim's ${scope} (He et al., arXiv 1512.03385): strides in the last unit of a block`,
    layers: () => resnetV1(scope, units, 'slim'),
    epsilon: 1e-5,
    input: IMAGENET_MEAN,
  }
}

/** torchvision's ResNet: the same weights would not do in TF-slim's, which strides elsewhere. */
function torchvisionResnet(scope: string, units: Units): Backbone {
  return {
    reference: `torchvision's ${scope} (He et al., arXiv 1512.03385): strides in the first unit of a block`,
    layers: () => resnetV1(scope, units, 'torchvision'),
    epsilon: 1e-5,
    input: IMAGENET_STANDARD,
    modules: resnetModules,
  }
}

export const BACKBONES: Readonly<Record<BackboneName, Backbone>> = {
  InceptionV1: {
    reference: "TF-slim's InceptionV1: GoogLeNet (Szegedy et al., arXiv 1409.4842) with batch norm",
    layers: () => inceptionV1('InceptionV1', 'same'),
    epsilon: BATCH_NORM_EPSILON,
    input: SYMMETRIC,
  },
  googlenet: {
    reference: "torchvision's googlenet: InceptionV1 with a centered first convolution",
    layers: () => inceptionV1('googlenet', 'centered'),
    epsilon: BATCH_NORM_EPSILON,
    // torchvision's pretrained one scales its input back to this (transform_input).
    input: SYMMETRIC,
    modules: googlenetModules,
  },
  resnet_v1_50: slimResnet('resnet_v1_50', [3, 4, 6, 3]),
  resnet_v1_101: slimResnet('resnet_v1_101', [3, 4, 23, 3]),
  resnet_v1_152: slimResnet('resnet_v1_152', [3, 8, 36, 3]),
  resnet50: torchvisionResnet('resnet50', [3, 4, 6, 3]),
  resnet101: torchvisionResnet('resnet101', [3, 4, 23, 3]),
  resnet152: torchvisionResnet('resnet152', [3, 8, 36, 3]),
  vgg_16: {
    reference: "TF-slim's vgg_16 (Simonyan and Zisserman, arXiv 1409.1556, column D)",
    layers: () => vgg16('vgg_16'),
    epsilon: BATCH_NORM_EPSILON,
    input: IMAGENET_MEAN,
  },
  vgg16: {
    reference: "torchvision's vgg16: the graph of vgg_16 with torchvision's input",
    layers: () => vgg16('vgg16'),
    epsilon: BATCH_NORM_EPSILON,
    input: IMAGENET_STANDARD,
    modules: vggModules,
  },
  efficientnet_lite0: {
    reference: "Google's EfficientNet-Lite0 (Tan and Le, arXiv 1905.11946, without squeeze-and-excitation)",
    layers: () => efficientnetLite0('efficientnet_lite0'),
    epsilon: BATCH_NORM_EPSILON,
    input: { divide: 128, subtract: 127 / 128 },
    modules: efficientnetModules,
  },
  tiny: {
    reference: 'for demonstrations, of this package',
    layers: tiny,
    epsilon: BATCH_NORM_EPSILON,
    input: SYMMETRIC,
  },
  lung: {
    reference: 'for small nodules, of this package',
    layers: lung,
    epsilon: BATCH_NORM_EPSILON,
    input: SYMMETRIC,
  },
}

/** The backbone that the hypes ask for, with its top and early layer, pruned to what these need. */
export function buildBackbone(hypes: Hypes): BackboneGraph {
  const base = hypes.slim_basename
  const { layers, epsilon, input } = BACKBONES[base]
  const graph = layers()
  const layer = (name: string, key: string, fallback: string): string =>
    name === '' ? fallback : findNode(graph, base, name, key)
  return pruneGraph({
    nodes: graph.nodes,
    top: layer(hypes.slim_top_lname, 'slim_top_lname', graph.top),
    early: layer(hypes.slim_attention_lname, 'slim_attention_lname', graph.early),
    channels: hypes.data.channels,
    epsilon,
    input,
  })
}

/** The whole graph of a backbone for frames of so many channels: what a file of its weights must hold. */
export function wholeBackbone(name: BackboneName, channels = 3): BackboneGraph {
  const { layers, epsilon, input } = BACKBONES[name]
  return { ...layers(), channels, epsilon, input }
}
