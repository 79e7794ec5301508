import { ArgumentError } from '../../torch/errors.js';
import type { Tensor } from '../../torch/index.js';
import * as torch from '../../torch/index.js';
import { withDefaults } from '../../torch/require.js';
import { requireChoice } from '../check.js';
import type { Given } from '../layer.js';
import { Module } from '../module.js';
import { buffer } from '../parameter.js';
import { fieldsOf, stateAt } from './computed.js';
import { isParametrized, registerParametrization } from './parametrize.js';

export interface OrthogonalOptions {
  /** Null: `matrixExp` for square and complex matrices, `householder` for others. */
  orthogonalMap: 'matrixExp' | 'cayley' | 'householder' | null;
  /** Maps from around a fixed orthogonal matrix, the value at the start or as set: any may be set. */
  useTrivialization: boolean;
}
const ORTHOGONAL: OrthogonalOptions = { orthogonalMap: null, useTrivialization: true };
const MAPS = ['matrixExp', 'cayley', 'householder'];

type Map = NonNullable<OrthogonalOptions['orthogonalMap']>;

/** Any matrix to one whose columns (rows, where there are fewer) are orthonormal. */
class Orthogonal extends Module {
  /** A buffer once there is a value to start from. */
  readonly base: Tensor | null = null;
  readonly rightInverse: ((value: Tensor) => Tensor) | undefined;

  constructor(
    readonly map: Map,
    useTrivialization: boolean,
  ) {
    super();
    const byReflections = map === 'householder' ? reflectionsOf : undefined;
    this.rightInverse = useTrivialization ? (value) => this.#start(value) : byReflections;
  }

  override forward(x: Tensor): Tensor {
    return tall(x, (matrix) => {
      const q = this.map === 'householder' ? reflected(matrix) : rotation(matrix, this.map);
      return this.base ? torch.matmul(this.base, q) : q;
    });
  }

  /** Keeps the value, made orthogonal, as the base; what `forward` gives the base for. */
  #start(value: Tensor): Tensor {
    const base = () => {
      const [rows, columns] = value.shape.slice(-2) as [number, number];
      const q = rows < columns ? value.mT : value;
      const [n, k] = q.shape.slice(-2) as [number, number];
      if (n === k) return isOrthogonal(q) ? q.clone() : factorQ(q);
      const { dtype, device } = q;
      const others = torch.randn([...q.shape.slice(0, -2), n, n - k], { dtype, device });
      return factorQ(torch.cat([q, others], -1));
    };
    const before = this.base;
    Object.assign(this, { base: buffer(base) });
    before?.dispose();
    // Reflections of minus the identity give the identity, as the other maps give it of no rotation.
    const start = value.zerosLike();
    start.diagonal(0, -2, -1).fill_(-1);
    return start;
  }

  protected override details(): string {
    return `'${this.map}'`;
  }
}

/**
 * Keeps a matrix (or several, in the last two dimensions) orthogonal, or unitary, while it is trained.
 * @returns the module
 */
export function orthogonal<M extends Module>(
  module: M,
  name = 'weight',
  options: Given<OrthogonalOptions> = {},
): M {
  const where = 'orthogonal';
  const { orthogonalMap, useTrivialization } = withDefaults(where, ORTHOGONAL, options);
  const computed = module instanceof Module && isParametrized(module, name);
  const weight = computed ? (fieldsOf(module)[name] as Tensor) : stateAt(where, module, name);
  if (weight.ndim < 2) {
    throw new ArgumentError(`${where}: found shape [${weight.shape}], expected a matrix`);
  }
  const [rows, columns] = weight.shape.slice(-2);
  const usual = rows === columns || weight.isComplex() ? 'matrixExp' : 'householder';
  const map = orthogonalMap ?? usual;
  requireChoice(where, 'orthogonalMap', map, MAPS);
  if (map === 'householder' && weight.isComplex()) {
    throw new ArgumentError(
      `${where}: found the map 'householder' of ${weight.dtype}, expected 'matrixExp' or 'cayley' for complex matrices`,
    );
  }
  const parametrization = new Orthogonal(map, useTrivialization);
  return registerParametrization(module, name, parametrization, { unsafe: true });
}

/** Applies to a matrix of at least as many rows as columns: `x`, or its transpose and back. */
function tall(x: Tensor, apply: (matrix: Tensor) => Tensor): Tensor {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  return rows < columns ? apply(x.mT).mT : apply(x);
}

/** Of the skew-symmetric matrix below the diagonal of [...,n,k]: its first k columns. */
function rotation(x: Tensor, map: 'matrixExp' | 'cayley'): Tensor {
  const [n, k] = x.shape.slice(-2) as [number, number];
  const lower = x.tril();
  const { dtype, device } = x;
  const zeros = () => torch.zeros([...x.shape.slice(0, -2), n, n - k], { dtype, device });
  const square = n === k ? lower : torch.cat([lower, zeros()], -1);
  const skew = square.sub(square.mH);
  if (map === 'matrixExp') return torch.matrixExp(skew).narrow(-1, 0, k);
  const identity = torch.eye(n, { dtype, device });
  const solved = torch.linalg.solve(
    identity.add(skew, { alpha: -0.5 }),
    identity.add(skew, { alpha: 0.5 }),
  );
  return solved.narrow(-1, 0, k);
}

/** The product of the Householder reflections below the diagonal, with the signs that it has there. */
function reflected(x: Tensor): Tensor {
  const vectors = x.tril(-1);
  const scales = vectors.mul(vectors).sum(-2).add(1).reciprocal().mul(2);
  const q = torch.linalg.householderProduct(vectors, scales);
  // Signs that are not trained.
  return q.mul(x.diagonal(0, -2, -1).int().unsqueeze(-2));
}

/** What {@link reflected} gives the value for. */
function reflectionsOf(value: Tensor): Tensor {
  return tall(value, (q) => {
    const [vectors, scales] = torch.geqrf(q);
    const diagonal = vectors.diagonal(0, -2, -1);
    diagonal.sign_();
    // LAPACK leaves a column as it is, exactly, where it needs no reflection.
    diagonal.copy_(torch.where(scales.eq(0), diagonal.neg(), diagonal));
    return vectors;
  });
}

/** The orthogonal factor of a tall matrix, of the two for which R's diagonal is positive. */
function factorQ(x: Tensor): Tensor {
  const [vectors, scales] = torch.geqrf(x);
  const q = torch.linalg.householderProduct(vectors, scales);
  return q.mul(vectors.diagonal(0, -2, -1).sgn().unsqueeze(-2));
}

const EPSILON: Record<string, number> = { float64: 2 ** -52, complex128: 2 ** -52 };

function isOrthogonal(q: Tensor): boolean {
  const [n, k] = q.shape.slice(-2) as [number, number];
  const { dtype, device } = q;
  const atol = 10 * n * (EPSILON[dtype] ?? 2 ** -23);
  return torch.allclose(torch.matmul(q.mH, q), torch.eye(k, { dtype, device }), { atol });
}
