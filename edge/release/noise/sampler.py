"""Discrete Laplace noise, drawn exactly: whole numbers from whole numbers, without a float on the way.

    P(Z = z) = (1 - q) / (1 + q) * q ** |z|,  q = exp(-epsilon),  z any whole number

Added to a count that one visit changes by at most one, it makes the count epsilon-differentially private.
The sampler follows algorithms 1 and 2 of Canonne, Kamath and Steinke, "The Discrete Gaussian for
Differential Privacy" (2020, arXiv 2004.00010). Samplers that compute a logarithm in floating point leave gaps
between the values they can give, and the gaps reveal the count (Mironov 2012, "On Significance of the Least
Significant Bits").

How long a draw takes depends on what is drawn. A row is published seconds after its window has ended, at a
time that other work on the box decides: the microseconds of a draw are not seen outside.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import pi, sinh, sqrt

RandomBelow = Callable[[int], int]
"""`random_below(n)`, n >= 1: a whole number of 0..n-1, each equally likely. `secrets.randbelow` on a box."""


def discrete_laplace(epsilon: Fraction, random_below: RandomBelow) -> int:
    """One draw of noise for a count that one visit changes by at most 1.

    Its mean is 0; with q = exp(-epsilon) its mean absolute value is 2q / (1 - q**2) and its variance
    2q / (1 - q)**2, 0.85 and 1.84 at epsilon 1. Raises ValueError unless epsilon is above 0.
    """
    if epsilon <= 0:
        raise ValueError(f"epsilon = {epsilon}: must be above 0")
    while True:
        size = _geometric(epsilon, random_below)
        negative = random_below(2) == 1
        if size or not negative:  # zero has one sign only, or it would come twice as often
            return -size if negative else size


def mean_error(epsilon: Fraction) -> float:
    """The mean absolute value of discrete Laplace noise. epsilon: above 0."""
    return 1 / sinh(epsilon)


def variance(epsilon: Fraction) -> float:
    """The variance of discrete Laplace noise. epsilon: above 0."""
    return 1 / (2 * sinh(epsilon / 2) ** 2)


def mean_error_of_sum(variance: float) -> float:
    """The mean absolute value of many draws together, which are normal; of one it is at most 13 % less."""
    return sqrt(2 / pi * variance)


def _geometric(epsilon: Fraction, random_below: RandomBelow) -> int:
    """A whole number k >= 0 with a probability in proportion to exp(-epsilon * k)."""
    steps, unit = epsilon.numerator, epsilon.denominator
    while True:  # x = within + unit * whole has a probability in proportion to exp(-x / unit)
        within = random_below(unit)
        if _with_probability_exp(within, unit, random_below):
            break
    whole = 0
    while _with_probability_exp(1, 1, random_below):
        whole += 1
    return (within + unit * whole) // steps


def _with_probability_exp(numerator: int, denominator: int, random_below: RandomBelow) -> bool:
    """True with probability exp(-numerator / denominator); the fraction is in 0..1.

    The series of exp as a game: go on while a coin of probability fraction / k shows heads, k = 1, 2, ...
    The chance that it ends at an odd k is the alternating sum 1 - x + x**2/2! - ... = exp(-x).
    """
    k = 1
    while random_below(denominator * k) < numerator:
        k += 1
    return k % 2 == 1
