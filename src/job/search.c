/* The rules of one [search.NAME]: bounds in order, legal for what is tuned, start range
 * inside. */
#include "job/draft.h"

#include "job/spell.h"

#include <math.h>
#include <string.h>

/* Of two values that disagree, the one to blame: what --set changed, else the second. */
static const struct pbt_origin *blame(const struct pbt_origin *a,
                                      const struct pbt_origin *b) {
  return a->set != NULL && b->set == NULL ? a : b;
}

static pbt_status check_legal(struct pbt_draft *draft, int32_t i, enum pbt_field field,
                              const char *what, double value) {
  size_t n;
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  const struct pbt_tunable *tunable = &pbt_job_tunables(&n)[draft->search[i].tunable];
  if (pbt_range_has(&tunable->legal, value)) {
    return PBT_OK;
  }
  char number[PBT_NUMBER_TEXT], range[96];
  pbt_spell_number(value, number);
  pbt_range_text(&tunable->legal, range, sizeof range);
  return pbt_draft_fail(draft, &draft->search[i].field[field],
                        "search.%s: %s = %s would make %s illegal; it must be %s",
                        hparam->name, what, number, hparam->name, range);
}

static pbt_status check_choice(struct pbt_draft *draft, int32_t i) {
  struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  for (int32_t o = 0; o < hparam->n_option; o++) {
    PBT_TRY(check_legal(draft, i, PBT_FIELD_OPTIONS, "an option", hparam->option[o]));
    for (int32_t before = 0; before < o; before++) {
      if (hparam->option[before] == hparam->option[o]) {
        char number[PBT_NUMBER_TEXT];
        pbt_spell_number(hparam->option[o], number);
        return pbt_draft_fail(draft, &draft->search[i].field[PBT_FIELD_OPTIONS],
                              "search.%s.options holds %s twice", hparam->name, number);
      }
    }
  }
  hparam->low = hparam->start_low = 0;
  hparam->high = hparam->start_high = hparam->n_option - 1;
  return PBT_OK;
}

/* [low, high] as the user wrote them, before anything is computed from them. */
static pbt_status check_bounds(struct pbt_draft *draft, int32_t i) {
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  const struct pbt_origin *field = draft->search[i].field;
  char low[PBT_NUMBER_TEXT], high[PBT_NUMBER_TEXT];
  pbt_spell_number(hparam->low, low);
  pbt_spell_number(hparam->high, high);
  if (hparam->low >= hparam->high) {
    return pbt_draft_fail(draft, blame(&field[PBT_FIELD_LOW], &field[PBT_FIELD_HIGH]),
                          "search.%s: low = %s is not below high = %s", hparam->name, low,
                          high);
  }
  if (hparam->kind == PBT_LOG && hparam->low <= 0) {
    return pbt_draft_fail(draft, blame(&field[PBT_FIELD_KIND], &field[PBT_FIELD_LOW]),
                          "search.%s: low = %s has no logarithm; kind = \"log\" needs "
                          "low above 0, or take kind = \"real\"",
                          hparam->name, low);
  }
  PBT_TRY(check_legal(draft, i, PBT_FIELD_LOW, "low", hparam->low));
  return check_legal(draft, i, PBT_FIELD_HIGH, "high", hparam->high);
}

static pbt_status check_integers(struct pbt_draft *draft, int32_t i) {
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  const struct {
    const char *name;
    enum pbt_field field;
    double value;
  } list[] = {{"low", PBT_FIELD_LOW, hparam->low},
              {"high", PBT_FIELD_HIGH, hparam->high},
              {"start_low", PBT_FIELD_START_LOW, hparam->start_low},
              {"start_high", PBT_FIELD_START_HIGH, hparam->start_high}};
  for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
    double value = list[k].value;
    if (value != floor(value) || fabs(value) > 1e9) {
      char number[PBT_NUMBER_TEXT];
      pbt_spell_number(value, number);
      return pbt_draft_fail(draft, &draft->search[i].field[list[k].field],
                            "search.%s: %s = %s is no integer within 1e9, as kind = "
                            "\"int\" needs",
                            hparam->name, list[k].name, number);
    }
  }
  return PBT_OK;
}

static pbt_status check_start(struct pbt_draft *draft, int32_t i) {
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  const struct pbt_origin *field = draft->search[i].field;
  char low[PBT_NUMBER_TEXT], high[PBT_NUMBER_TEXT];
  char start_low[PBT_NUMBER_TEXT], start_high[PBT_NUMBER_TEXT];
  pbt_spell_number(hparam->low, low);
  pbt_spell_number(hparam->high, high);
  pbt_spell_number(hparam->start_low, start_low);
  pbt_spell_number(hparam->start_high, start_high);
  if (hparam->start_low < hparam->low || hparam->start_low > hparam->high) {
    return pbt_draft_fail(draft, &field[PBT_FIELD_START_LOW],
                          "search.%s: start_low = %s lies outside of low = %s to high = "
                          "%s",
                          hparam->name, start_low, low, high);
  }
  if (hparam->start_high < hparam->low || hparam->start_high > hparam->high) {
    return pbt_draft_fail(draft, &field[PBT_FIELD_START_HIGH],
                          "search.%s: start_high = %s lies outside of low = %s to high = "
                          "%s",
                          hparam->name, start_high, low, high);
  }
  if (hparam->start_low > hparam->start_high) {
    const struct pbt_origin *at = field[PBT_FIELD_START_LOW].given
                                      ? &field[PBT_FIELD_START_LOW]
                                      : &field[PBT_FIELD_START_HIGH];
    return pbt_draft_fail(draft, at, "search.%s: start_low = %s is above start_high = %s",
                          hparam->name, start_low, start_high);
  }
  return PBT_OK;
}

static pbt_status check_one(struct pbt_draft *draft, int32_t i) {
  struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  const struct pbt_origin *field = draft->search[i].field;
  if (hparam->kind == PBT_CHOICE) {
    return check_choice(draft, i);
  }
  PBT_TRY(check_bounds(draft, i));
  if (!field[PBT_FIELD_START_LOW].given) {
    hparam->start_low = hparam->low;
  }
  if (!field[PBT_FIELD_START_HIGH].given) {
    hparam->start_high = hparam->high;
  }
  if (hparam->kind == PBT_INT) {
    PBT_TRY(check_integers(draft, i));
  }
  return check_start(draft, i);
}

/* Values given one by one: inside the bounds, whole or an option where the kind demands
 * it.  They stay as they were written. */
static pbt_status check_list(struct pbt_draft *draft, int32_t i, enum pbt_field field,
                             const double list[], int32_t n) {
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  for (int32_t s = 0; s < n; s++) {
    bool legal = list[s] >= hparam->low && list[s] <= hparam->high;
    legal = legal && (hparam->kind != PBT_INT || list[s] == floor(list[s]));
    if (hparam->kind == PBT_CHOICE) {
      legal = false;
      for (int32_t o = 0; o < hparam->n_option; o++) {
        legal = legal || hparam->option[o] == list[s];
      }
    }
    if (!legal) {
      char number[PBT_NUMBER_TEXT];
      pbt_spell_number(list[s], number);
      return pbt_draft_fail(draft, &draft->search[i].field[field],
                            "search.%s.%s holds %s, which is no legal value of it",
                            hparam->name, field == PBT_FIELD_START ? "start" : "schedule",
                            number);
    }
  }
  return PBT_OK;
}

pbt_status pbt_draft_check_search(struct pbt_draft *draft, int32_t i) {
  PBT_TRY(check_one(draft, i));
  const struct pbt_hparam *hparam = &draft->job.search.hparam[i];
  PBT_TRY(check_list(draft, i, PBT_FIELD_START, hparam->start, hparam->n_start));
  return check_list(draft, i, PBT_FIELD_SCHEDULE, hparam->schedule, hparam->n_schedule);
}
