"""The noise beside OpenDP's, and what many draws say of the loss of privacy.

    python -m tests.privacy.prove_noise

OpenDP (MIT) has a sampler of the same distribution. It is no dependency of the box or of the suite: it takes
265 MB. Exit status 1 where something does not fit.
"""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from fractions import Fraction

import opendp.prelude as dp
from scipy.stats import chi2_contingency

from edge.release.noise.sampler import discrete_laplace
from tests.privacy.noise import fit, losses

DRAWS = 100_000
EPSILONS = (Fraction(1, 8), Fraction(3, 8), Fraction(1), Fraction(2), Fraction(5, 2))
LEAST_P = 0.0005
"""A correct sampler falls below it in one of 2,000 comparisons."""


def ours(epsilon: Fraction) -> Counter[int]:
    """Draws of the box's sampler, from the system's randomness."""
    return Counter(discrete_laplace(epsilon, secrets.randbelow) for _ in range(DRAWS))


def opendp(epsilon: Fraction) -> Counter[int]:
    """Draws of OpenDP's, many at once."""
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    return Counter(dp.m.make_laplace(*space, scale=float(1 / epsilon))([0] * DRAWS))


def same(one: Counter[int], other: Counter[int]) -> float:
    """The p-value of the test that both are draws of one distribution; rare values are put together."""
    common = sorted(z for z in one | other if one[z] + other[z] >= 40)
    table = [[*(c[z] for z in common), c.total() - sum(c[z] for z in common)] for c in (one, other)]
    return float(chi2_contingency(table).pvalue)


def judged(epsilon: Fraction) -> tuple[bool, str]:
    """Whether all fits at this epsilon, and a line of the table."""
    first, second = ours(epsilon), ours(epsilon)
    p_formula, p_opendp = fit(epsilon, first), same(first, opendp(epsilon))
    loss = max(losses(first, Counter({z + 1: n for z, n in second.items()})))
    good = min(p_formula, p_opendp) >= LEAST_P and (epsilon < 1 or loss <= 1.1 * epsilon)
    return (
        good,
        f"| {float(epsilon):g} | {p_formula:.4f} | {p_opendp:.4f} | {loss:.4f} | {loss / epsilon:.3f} |",
    )


def main() -> int:
    """Print the table; 0 where all fits. Below epsilon 1 the loss is shown, and too few draws bound it."""
    dp.enable_features("contrib")
    rows = [judged(epsilon) for epsilon in EPSILONS]
    header = (
        "| epsilon | p beside the formula | p beside OpenDP | loss, upper 95 % bound | / epsilon |",
        "|---|---|---|---|---|",
    )
    sys.stdout.write("\n".join([*header, *(line for _, line in rows), ""]))
    return 0 if all(good for good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
