/*
 * detmath.h - exp, log and pow that give the same bits on every IEEE 754 machine.
 *
 * libm does not: glibc picks FMA variants by processor, which changed 0.07 % of doubles.
 * Whatever feeds a replicated decision uses these (compiled with -ffp-contract=off).
 * Within 2 ulp (exp, log) of the correctly rounded result over the normal range; the
 * usual limits for 0, infinities and NaN.  Pure.
 */
#ifndef PBT_BASE_DETMATH_H
#define PBT_BASE_DETMATH_H

double pbt_exp(double x);
double pbt_log(double x);
double pbt_pow(double x,
               double y); // exp(y log x), x > 0: relative error grows with |y log x|
double pbt_sin(double x); // |x| <= 1e5
double pbt_cos(double x);

#endif
