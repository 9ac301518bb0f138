"""Whether images look like what a model was trained on, told before and after their inversion.

`features` turns images into numbers, `reference` holds what these are for the model's own images, and how far from them
its held-out images lie. `check` judges the images that are to be translated.
"""

from ui2i.domain_check.check import DomainCheck as DomainCheck
from ui2i.domain_check.check import Verdict as Verdict
from ui2i.domain_check.check import refuse as refuse
from ui2i.domain_check.features import Extractor as Extractor
from ui2i.domain_check.features import discriminator_extractor as discriminator_extractor
from ui2i.domain_check.features import thumbnail_extractor as thumbnail_extractor
from ui2i.domain_check.reference import MIN_IMAGES as MIN_IMAGES
from ui2i.domain_check.reference import DomainReference as DomainReference
from ui2i.domain_check.reference import Reconstructions as Reconstructions
from ui2i.domain_check.reference import fit_reference as fit_reference
from ui2i.domain_check.reference import inverted_with as inverted_with
from ui2i.domain_check.reference import load_reference as load_reference
from ui2i.domain_check.reference import reconstructions_of as reconstructions_of
from ui2i.domain_check.reference import save_reference as save_reference
