// The settings in the address of the captions. Each is checked; an unknown one is an error too.

const between = (least, most, unit = "") => (value) => {
  const number = Number(value);
  if (value.trim() === "" || !(number >= least && number <= most)) {
    throw new Error(`expected a number from ${least} to ${most}`);
  }
  return `${number}${unit}`;
};

// A name or any form that CSS has; # may be left out, because it ends an address.
function color(value) {
  const hex = /^([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$/i.test(value) ? `#${value}` : value;
  if (!CSS.supports("color", hex)) throw new Error("expected a colour, such as yellow or ffcc00");
  return hex;
}

function align(value) {
  const known = ["left", "center", "right"].includes(value);
  if (!known) throw new Error("expected left, center or right");
  return value;
}

function font(value) {
  const named = value.trim() !== "" && CSS.supports("font-family", value);
  if (!named) throw new Error("expected the name of a font");
  return value;
}

const STYLES = {
  size: between(8, 200, "px"),
  color,
  outline: color,
  box: color,
  background: color,
  font,
  align,
  lines: between(1, 6),
};
const OTHERS = {
  hold: between(0, 3600),
  silence: between(0.1, 60),
  device: String,
  words: String,
  token: String,
};
const SPELLINGS = { colour: "color" };

// Sets the styles, and returns the other settings as texts.
export function readParameters(search, style) {
  const settings = {};
  for (const [given, value] of new URLSearchParams(search)) {
    const name = SPELLINGS[given] ?? given;
    const parse = STYLES[name] ?? OTHERS[name];
    if (!parse) {
      const known = Object.keys({ ...STYLES, ...OTHERS }).join(", ");
      throw new Error(`${given}: unknown. There are ${known}.`);
    }
    try {
      const parsed = parse(value);
      if (name in STYLES) style.setProperty(`--${name}`, parsed);
      else settings[name] = parsed;
    } catch ({ message }) {
      throw new Error(`${given}: ${message}.`);
    }
  }
  return settings;
}
