"""The tuned numbers of the decision. docs/decision.md has a row for each: its unit, what it was
tuned on and what a change costs; a test compares that table with this module.

Numbers that change no answer (block sizes, lengths of lists on the screen) stay where they are
used.
"""

from __future__ import annotations

import numpy as np

# --- scores: text normalisation and negative score ----------------------------------------------

COHORT_SIZE = 500  # negative texts from which a text's mean and spread of cosines are estimated
CENTRING = 0.3  # share of a text's mean cosine with the cohort that is subtracted
SPREAD_FLOOR = 0.02  # cosine, added to every spread: keeps the scale of uniform texts finite
NEAREST_NEGATIVES = 5  # negatives whose mean logit is an image's negative score
CANDIDATE_NEGATIVES = 48  # nearest negatives kept for each image before the negative filter
LIKELY_NEGATIVES = 16  # of each image by the starter: the only ones that a large model embeds
PROMPT_COUNT_PENALTY = 0.3  # logits per ln n, for n prompt groups of a label
OTHER_WAYS_SHARE = 0.5  # how much the lexicon's groups count: whether any label fits
OTHER_WAYS_RANK_SHARE = 0.75  # the same where labels are ranked
RIVAL_MARGIN = 1.0  # logits; a sibling of the label in WordNet this near makes it not "sure"
LOW_QUALITY_PENALTY = 4.0  # logits added to the negative score of a dark or blurred image
DRAWN_SHARE = 0.5  # of the logits by which an image is nearer to a drawing than to a photograph
UNWANTED_DRAWN_FROM = 4.0  # logits nearer to a drawing, from which it is one, if these are unwanted
UNWANTED_DRAWN_SHARE = 4.0  # of the logits above that: how much better the unwanted word fits

# --- smoothing ----------------------------------------------------------------------------------

NEIGHBOURS = 5  # nearest images of the folder whose scores are averaged with an image's own
NEIGHBOUR_WEIGHT = 1.0  # weight of a neighbour whose centred cosine is 1; the image's own is 1
NEIGHBOUR_WIDTH = 0.2  # the weight falls by a factor of e for each such step of cosine below 1
MAX_ANCHORS = 8192  # images among which neighbours are searched, evenly spaced in the folder
PRINCIPAL_AXES = 32  # of the folder's embeddings, on which OOD scores are regressed
MAX_AXIS_SAMPLES = 1024  # images from which these axes are computed, evenly spaced
RIDGE = 0.01  # ridge penalty, in shares of the folder's variance
REGRESSION_SHARE = 0.5  # of the smoothed OOD score; the rest is the image's own score

# --- decision -----------------------------------------------------------------------------------

LABEL_COUNT_PENALTY = 0.6  # logits per ln K, for K labels
MEAN_LOGIT_SHARE = 0.5  # of an image's mean negative logit above the typical one, taken off
EVEN_ODDS = 0.5  # P(other), above which a reason names what an image looks like instead
SURE = 0.9  # least probability of the answer for the confidence "sure"
LIKELY = 0.6  # for "likely"; also for a further label that an image fits
RUNNER_UP_RATIO = 0.5  # of the best label's probability: a second one from there on counts too

# --- diagnosis after a run ----------------------------------------------------------------------

DOMINANT_SHARE = 0.9  # of the images on shelves: a shelf with more is reported
DOMINANT_LEAST_IMAGES = 20  # images on shelves before that is reported
SUGGESTED_SHELF_LEAST_IMAGES = 10  # in "other" near one negative label: suggested as a shelf
SUGGESTED_WORDS_LEAST_IMAGES = 5  # in "other" near words of one label: suggested to count as it

# --- calibration --------------------------------------------------------------------------------

MIN_KEPT_SHARE = 0.94  # of folders without OOD images, that a calibrated threshold must keep
NEWTON_STEPS = 20  # of the regression of the OOD temperature; it has converged after eight
SLOPE_RIDGE = 1.0  # images; keeps that slope finite where the OOD score makes no error
CALIBRATION_LEAST_IMAGES = 50  # in-distribution images, and as many OOD ones
CALIBRATION_LEAST_NAMES = 4  # different names among labelled images
CALIBRATION_LEAST_SHARE = 0.1  # of clean folders kept, and of OOD images in "other": else refused
CALIBRATION_EPISODES = 60  # simulated folders drawn from labelled images
ALL_KNOWN_EVERY = 3  # every third of them has no OOD images
THRESHOLD_QUANTILES = np.linspace(0.01, 0.99, 120)  # of the OOD scores: candidate thresholds
TEMPERATURES = np.geomspace(0.1, 20, 60)  # candidate temperatures, in logits
TRANSFER_LEAST_IMAGES = 50  # images needed to transfer a calibration
TRANSFER_MOST_IMAGES = 300  # images used at most
TRANSFER_DIVERSITY = 0.6  # 1 less the images' mean cosine; below, a calibration is provisional
TRANSFER_LABEL_SETS = 12  # made-up label sets on which the two models are compared
TRANSFER_LABELS = (2, 20)  # labels in such a set, log-uniformly distributed
SCALE_RATIO_FLOOR = 0.01  # least ratio of two models' spreads of scores

# --- search -------------------------------------------------------------------------------------

REFERENCE_WORDS = 300  # negative labels whose best pictures tell what an absent word gets
REFERENCE_PROMPTED = 12  # of them, asked by all prompts of a label and not by one alone
LARGE_REFERENCE_PROMPTED = 5  # the same for a model that doesn't come with the negative labels
REFERENCE_BASE = 3.9  # calibrated temperatures that the threshold of a search is above a run's
REFERENCE_SHARE = 0.3  # of the reference words' median above the threshold of a run, added to that
