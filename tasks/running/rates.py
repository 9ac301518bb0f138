"""Rates of work, measured once, from which stages estimate how long they take.

On two cores of an AMD EPYC (AVX-512, bf16), 64 px, the shipped bases' widths; images a second unless said otherwise.
What looks at images does so with `st-alex`: from the processor time of one core of Zen 3 (AVX2), times two.
"""

INGESTED = 1300.0
TRAINED = 90.0
ENCODED = 130.0  # by an encoder in training
GENERATED = 110.0  # and looked at by the backbone
EVALUATED = 210.0  # read from files and looked at by the backbone
DISTILLED = 34.0  # pairs, by a translator in training; on one AVX2 core (Zen 3)
INVERSION_STEPS = 45.0  # image times step, a mean over methods
