/** What the things in one room are made of: typical materials of each kind, and camouflage. */

import type { Random } from '../data/random.js';
import { type Colour, type Material, material } from './materials.js';

/** Draws materials for one room, so that its pieces go together as furniture of one house does. */
export class Wardrobe {
  readonly wall: Material;
  readonly floor: Material;
  readonly ceiling: Material;
  readonly frame: Colour;
  private readonly timber: Colour;
  private readonly cloth: Colour;
  private readonly camouflage: number;
  private readonly worn: Material[];

  constructor(
    private readonly random: Random,
    camouflage: number,
  ) {
    this.camouflage = camouflage;
    this.timber = random.pick<Colour>([
      [0.36, 0.2, 0.09],
      [0.5, 0.34, 0.18],
      [0.2, 0.1, 0.05],
      [0.6, 0.47, 0.3],
      [0.42, 0.36, 0.3],
    ]);
    this.cloth = this.tint(0.06, 0.45, 0.8);
    this.frame = random.chance(0.5) ? [0.75, 0.75, 0.73] : shade(this.timber, 0.8);
    this.wall = this.drawWall();
    this.floor = this.drawFloor();
    this.ceiling = random.chance(0.4)
      ? material('tiles', [0.72, 0.72, 0.7], { scale: 0.6, seed: this.seed() })
      : material('plaster', random.chance(0.75) ? [0.8, 0.8, 0.78] : this.wall.colour, {
          seed: this.seed(),
        });
    this.worn = [this.wall, this.floor];
  }

  seed(): number {
    return this.random.uint32() | 0;
  }

  /** A colour of the given brightness range; saturation 0 is grey. */
  tint(low: number, high: number, saturation: number): Colour {
    const { random } = this;
    const level = random.uniform(low, high);
    const hue = random.uniform(0, 2 * Math.PI);
    const strength = saturation * random.uniform();
    const channel = (phase: number) =>
      Math.min(0.95, Math.max(0.01, level * (1 + strength * Math.cos(hue + phase))));
    return [channel(0), channel(2.1), channel(4.2)];
  }

  /** Wood of the house's timber. */
  wood(): Material {
    const tone = this.random.uniform(0.8, 1.25);
    return this.dress(
      material('wood', shade(this.timber, tone), {
        accent: shade(this.timber, tone * 0.55),
        seed: this.seed(),
        gloss: this.random.chance(0.2) ? 0.25 : 0.03,
      }),
    );
  }

  lacquer(): Material {
    const colour = this.random.chance(0.5) ? this.tint(0.5, 0.8, 0.15) : this.tint(0.05, 0.4, 0.9);
    return this.dress(material('plain', colour, { gloss: this.random.chance(0.3) ? 0.3 : 0.04 }));
  }

  fabric(): Material {
    const own = this.random.chance(0.5) ? this.cloth : this.tint(0.04, 0.5, 0.9);
    return this.dress(material('carpet', own, { accent: shade(own, 0.7), seed: this.seed() }));
  }

  /** Metal legs and lamp stands: dark or bright, and bad for the depth sensor. */
  metal(): Material {
    const level = this.random.pick([0.03, 0.2, 0.5]);
    return material('plain', [level, level, level * 1.03], { gloss: 0.35 });
  }

  plastered(): Material {
    const colour = this.random.chance(0.6)
      ? this.tint(0.5, 0.8, 0.1)
      : shade(this.wall.colour, 0.9);
    return this.dress(material('plaster', colour, { seed: this.seed() }), 1.3);
  }

  books(): Material {
    return material('books', [0.3, 0.3, 0.3], {
      scale: this.random.uniform(0.025, 0.045),
      seed: this.seed(),
    });
  }

  /** Anything for the small things that lie about. */
  odd(): Material {
    const colour = this.tint(0.04, 0.7, 1);
    const pattern = this.random.pick(['plain', 'plain', 'stripes', 'poster'] as const);
    const made = material(pattern, colour, {
      accent: this.tint(0.1, 0.8, 0.8),
      scale: 0.06,
      seed: this.seed(),
      gloss: this.random.chance(0.25) ? 0.4 : 0.05,
      extent: [0.3, 0.3],
    });
    return this.dress(made, 0.6);
  }

  board(extent: readonly [number, number]): Material {
    const [colour, accent] = this.random.pick<[Colour, Colour]>([
      [
        [0.82, 0.83, 0.84],
        [0.05, 0.08, 0.3],
      ],
      [
        [0.82, 0.83, 0.84],
        [0.35, 0.04, 0.04],
      ],
      [
        [0.03, 0.11, 0.07],
        [0.7, 0.7, 0.66],
      ],
      [
        [0.04, 0.04, 0.045],
        [0.7, 0.7, 0.7],
      ],
    ]);
    return material('board', colour, { accent, seed: this.seed(), extent, gloss: 0.06 });
  }

  window(extent: readonly [number, number]): Material {
    const sky: Colour = this.random.pick<Colour>([
      [0.55, 0.72, 0.95],
      [0.85, 0.87, 0.9],
      [0.9, 0.75, 0.6],
      [0.06, 0.07, 0.12],
    ]);
    const night = sky[0] < 0.1;
    return material('window', sky, {
      accent: this.frame,
      seed: this.seed(),
      extent,
      scale: this.random.uniform(0.5, 1.1),
      gloss: 1,
      glow: night ? 0.1 : this.random.uniform(0.8, 1.6),
    });
  }

  door(extent: readonly [number, number]): Material {
    const colour = this.random.pick<Colour>([
      this.timber,
      this.wall.colour,
      [0.7, 0.7, 0.68],
      this.tint(0.08, 0.4, 0.7),
    ]);
    return material('door', colour, {
      accent: this.random.chance(0.5) ? this.frame : shade(colour, 0.45),
      seed: this.seed(),
      extent,
      gloss: 0.05,
    });
  }

  poster(extent: readonly [number, number]): Material {
    return material('poster', [0.5, 0.5, 0.5], {
      accent: this.random.chance(0.5) ? [0.04, 0.04, 0.04] : shade(this.timber, 0.8),
      seed: this.seed(),
      extent,
    });
  }

  rug(): Material {
    const colour = this.tint(0.05, 0.5, 0.9);
    const accent = this.tint(0.05, 0.6, 0.9);
    const pattern = this.random.pick(['stripes', 'carpet', 'tiles'] as const);
    return material(pattern, colour, { accent, seed: this.seed(), scale: 0.25 });
  }

  /** The piece's own material, or that of something else in the room: what makes RGB ambiguous. */
  private dress(own: Material, weight = 1): Material {
    const { random } = this;
    if (random.chance(this.camouflage * weight)) {
      return { ...random.pick(this.worn), gloss: own.gloss, seed: this.seed() };
    }
    this.worn.push(own);
    return own;
  }

  private drawWall(): Material {
    const { random } = this;
    const colour = random.chance(0.55) ? this.tint(0.55, 0.8, 0.12) : this.tint(0.12, 0.6, 0.35);
    const seed = this.seed();
    const texture = random.pick(['plaster', 'plaster', 'plaster', 'stripes', 'bricks'] as const);
    if (texture === 'stripes') {
      return material(texture, colour, { accent: shade(colour, 0.75), scale: 0.22, seed });
    }
    if (texture === 'bricks') {
      return material(texture, random.chance(0.5) ? colour : [0.35, 0.14, 0.09], {
        accent: [0.5, 0.48, 0.45],
        scale: 0.25,
        seed,
      });
    }
    return material(texture, colour, { seed });
  }

  private drawFloor(): Material {
    const { random } = this;
    const seed = this.seed();
    const texture = random.pick(['planks', 'planks', 'carpet', 'tiles'] as const);
    if (texture === 'planks') {
      const tone = random.uniform(0.8, 1.2);
      const accent = shade(this.timber, tone * 0.5);
      return material(texture, shade(this.timber, tone), { accent, scale: 0.14, seed });
    }
    const colour = texture === 'carpet' ? this.tint(0.05, 0.35, 0.6) : this.tint(0.2, 0.65, 0.15);
    const gloss = texture === 'tiles' ? 0.12 : 0;
    return material(texture, colour, { accent: shade(colour, 0.6), scale: 0.35, seed, gloss });
  }
}

function shade(colour: Colour, factor: number): Colour {
  return [colour[0] * factor, colour[1] * factor, colour[2] * factor];
}
