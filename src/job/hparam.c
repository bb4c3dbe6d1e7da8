/*
 * Moves and bounds.  The space of a LOG is the logarithm: there a factor is a shift, and
 * reflection happens at the logarithm of the bound.  Only + - * /, exact floor and fmod,
 * and base/detmath, so the bits are the same everywhere.
 */
#include "job/hparam.h"

#include "base/detmath.h" // pbt_exp, pbt_log

#include <math.h>

static bool discrete(const struct pbt_hparam *hparam) {
  return hparam->kind == PBT_INT || hparam->kind == PBT_CHOICE;
}

static double clip(const struct pbt_hparam *hparam, double value) {
  return value < hparam->low ? hparam->low
                             : (value > hparam->high ? hparam->high : value);
}

static double round_half_up(double value) {
  return floor(value + 0.5);
}

/* 0..1 onto itself, what is outside folded back: 1.25 becomes 0.75, -0.5 becomes 0.5. */
static double fold(double unit) {
  double u = fmod(fabs(unit), 2.0);
  return u > 1.0 ? 2.0 - u : u;
}

static double reflect(const struct pbt_hparam *hparam, double value) {
  if (hparam->kind == PBT_LOG) {
    if (value <= 0.0) {
      return hparam->low;
    }
    double low = pbt_log(hparam->low);
    double width = pbt_log(hparam->high) - low;
    return clip(hparam, pbt_exp(low + width * fold((pbt_log(value) - low) / width)));
  }
  double width = hparam->high - hparam->low;
  double unit = (value - hparam->low) / width;
  if (!isfinite(unit)) {
    return clip(hparam, value);
  }
  double folded = hparam->low + width * fold(unit);
  return clip(hparam, discrete(hparam) ? round_half_up(folded) : folded);
}

double pbt_hparam_bound(const struct pbt_hparam *hparam, double value,
                        enum pbt_bounce bounce) {
  if (isnan(value) || hparam->low >= hparam->high) {
    return hparam->low;
  }
  if (discrete(hparam)) {
    value = round_half_up(value);
  }
  if (value >= hparam->low && value <= hparam->high) {
    return value;
  }
  return bounce == PBT_REFLECT && isfinite(value) ? reflect(hparam, value)
                                                  : clip(hparam, value);
}

double pbt_hparam_draw(const struct pbt_hparam *hparam, struct pbt_rng *rng) {
  double low = hparam->start_low, high = hparam->start_high, value;
  if (discrete(hparam)) {
    return low + pbt_rng_below(rng, (uint32_t)(high - low) + 1);
  }
  double u = pbt_rng_uniform(rng);
  if (hparam->kind == PBT_LOG) {
    double from = pbt_log(low);
    value = pbt_exp(from + u * (pbt_log(high) - from));
  } else {
    value = low + u * (high - low);
  }
  return value < low ? low : (value > high ? high : value);
}

/* A whole number's step: by the factor, but at least one away from 0 or towards it; a
 * bound in the way turns it round, so it always moves. */
static double step_discrete(const struct pbt_hparam *hparam, double value, double factor,
                            enum pbt_bounce bounce) {
  double from = pbt_hparam_bound(hparam, value, PBT_CLIP);
  double direction = (factor > 1.0) == (from >= 0.0) ? 1.0 : -1.0;
  double to = from + direction;
  if (hparam->kind == PBT_INT) {
    double scaled = round_half_up(from * factor);
    to = scaled != from ? scaled : to;
  }
  to = pbt_hparam_bound(hparam, to, bounce);
  to = to != from ? to : pbt_hparam_bound(hparam, from + direction, PBT_CLIP);
  return to != from ? to : pbt_hparam_bound(hparam, from - direction, PBT_CLIP);
}

double pbt_hparam_perturb(const struct pbt_hparam *hparam, double value, double factor,
                          enum pbt_bounce bounce) {
  if (isnan(value)) {
    return hparam->low;
  }
  if (discrete(hparam)) {
    return step_discrete(hparam, value, factor, bounce);
  }
  if (hparam->kind == PBT_REAL && hparam->low <= 0.0) {
    double step = 0.2 * (hparam->high - hparam->low);
    return pbt_hparam_bound(hparam, factor > 1.0 ? value + step : value - step, bounce);
  }
  return pbt_hparam_bound(hparam, value * factor, bounce);
}

double pbt_hparam_to_unit(const struct pbt_hparam *hparam, double value) {
  double low = hparam->low, high = hparam->high;
  value = pbt_hparam_bound(hparam, value, PBT_CLIP);
  if (low >= high) {
    return 0.0;
  }
  if (hparam->kind == PBT_LOG) {
    double from = pbt_log(low);
    return (pbt_log(value) - from) / (pbt_log(high) - from);
  }
  return (value - low) / (high - low);
}

double pbt_hparam_from_unit(const struct pbt_hparam *hparam, double unit) {
  double low = hparam->low, high = hparam->high;
  if (hparam->kind == PBT_LOG) {
    double from = pbt_log(low);
    double value = pbt_exp(from + unit * (pbt_log(high) - from));
    return pbt_hparam_bound(hparam, value, PBT_CLIP);
  }
  return pbt_hparam_bound(hparam, low + unit * (high - low), PBT_CLIP);
}

double pbt_hparam_effective(const struct pbt_hparam *hparam, double value) {
  if (hparam->kind != PBT_CHOICE) {
    return value;
  }
  return hparam->option[(int)pbt_hparam_bound(hparam, value, PBT_CLIP)];
}

const char *pbt_kind_name(enum pbt_kind kind) {
  static const char *const name[] = {"real", "log", "int", "choice"};
  return name[kind];
}
