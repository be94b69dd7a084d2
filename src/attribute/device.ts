/*
 * Devices as the kernel keeps them (dev_t, include/linux/kdev_t.h): a major number of twelve bits, a minor one of
 * twenty. An observation has "major:minor".
 */

export function toKernelDevice(device: string): number {
  const [major = 0, minor = 0] = device.split(":").map(Number);
  return ((major << 20) | minor) >>> 0;
}

export function fromKernelDevice(device: number): string {
  return `${device >>> 20}:${device & 0xfffff}`;
}
