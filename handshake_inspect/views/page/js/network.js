// Addresses as numbers: which of them lie in "10.0.0.0/8" or "2001:db8::/32".

/** An address in bits: [how many it has, their number]; null if it is none. */
function bitsOf(address) {
  const last = address.split(":").at(-1);
  if (!last.includes(".")) return address.includes(":") ? ipv6BitsOf(address) : null;
  const octets = last.split(".").map((one) => (/^\d{1,3}$/.test(one) && Number(one) < 256 ? Number(one) : NaN));
  if (octets.length !== 4 || octets.some(Number.isNaN)) return null;
  if (last === address) return [32, numberOf(octets, 8n)];
  const [a, b, c, d] = octets; // the last 32 bits of an IPv6 address may be spelled so
  return ipv6BitsOf(`${address.slice(0, -last.length)}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
}

function ipv6BitsOf(address) {
  const halves = address.split("::").map((half) => (half ? half.split(":") : []));
  const left = 8 - halves.flat().length;
  if (halves.length > 2 || (halves.length === 2 ? left < 1 : left !== 0)) return null;
  const groups = [...halves[0], ...Array(left).fill("0"), ...(halves[1] ?? [])];
  if (!groups.every((one) => /^[\da-f]{1,4}$/.test(one))) return null;
  return [128, numberOf(groups.map((one) => parseInt(one, 16)), 16n)];
}

function numberOf(parts, bits) {
  return parts.reduce((number, part) => (number << bits) | BigInt(part), 0n);
}

/** "10.0.0.0/8" as [bits of an address, how many of them do not matter, the others]; null if it is none. */
function networkOf(word) {
  const [, address, length] = /^([\da-f:.]+)\/(\d{1,3})$/.exec(word) ?? [];
  const [bits, number] = (address && bitsOf(address)) || [];
  if (bits === undefined || Number(length) > bits) return null;
  const free = BigInt(bits - Number(length));
  return [bits, free, number >> free];
}

const bitsKnown = new Map();

function isWithin([bits, free, others], address) {
  if (!bitsKnown.has(address)) bitsKnown.set(address, bitsOf(address));
  const [size, number] = bitsKnown.get(address) ?? [];
  return size === bits && number >> free === others;
}
