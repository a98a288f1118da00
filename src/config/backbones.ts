/**
 * The names that `slim_basename` takes. Each is an entry of src/model/backbones: a name here without an entry there,
 * or an entry without a name, does not compile.
 */
export const BACKBONE_NAMES = [
  'InceptionV1',
  'googlenet',
  'resnet_v1_50',
  'resnet_v1_101',
  'resnet_v1_152',
  'resnet50',
  'resnet101',
  'resnet152',
  'vgg_16',
  'vgg16',
  'efficientnet_lite0',
  'tiny',
  'lung',
] as const

export type BackboneName = (typeof BACKBONE_NAMES)[number]
