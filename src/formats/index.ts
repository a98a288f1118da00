export { encodeHuPng, encodePng, readHuImage, readImage, readImageSize, writePng } from './images.js'
export type { RgbImage } from './bmp.js'
export { encodeNifti, writeNifti } from './nifti_write.js'
export type { NiftiImage } from './nifti_write.js'
