// Coefficients of the scalar specification and the vector kernels (minimax fits made for this project).
#pragma once
// exp: x = n·ln2 + r; exp(r) = 1 + r + r²·p(r), error 7e-9 before rounding.
#define CK_LOG2E 1.44269504088896340736f
#define CK_LN2_HIGH 0.693145751953125f
#define CK_LN2_LOW 1.42860682030941723212e-6f
#define CK_EXP_MIN -87.0f
#define CK_EXP_MAX 88.0f
#define CK_EXP_P0 0.5f
#define CK_EXP_P1 0.16666576266288757f
#define CK_EXP_P2 0.04166637361049652f
#define CK_EXP_P3 0.008363205008208752f
#define CK_EXP_P4 0.0013941123615950346f
// erf: x·p(x²) up to |x| = 1; beyond, 1 - exp(-t·g(t)) with t = min(|x|, 4).
#define CK_ERF_S0 1.1283791065216064f
#define CK_ERF_S1 -0.3761262595653534f
#define CK_ERF_S2 0.11283600330352783f
#define CK_ERF_S3 -0.026854444295167923f
#define CK_ERF_S4 0.005189534276723862f
#define CK_ERF_S5 -0.0008020831155590713f
#define CK_ERF_S6 7.88908582762815e-05f
#define CK_ERF_L0 1.1285996437072754f
#define CK_ERF_L1 0.6354100704193115f
#define CK_ERF_L2 0.10566918551921844f
#define CK_ERF_L3 -0.023091770708560944f
#define CK_ERF_L4 0.003182093147188425f
#define CK_ERF_L5 -0.0001387773227179423f
#define CK_ERF_L6 -2.843003676389344e-05f
#define CK_ERF_L7 3.5565767575462814e-06f
#define CK_SQRT_HALF 0.70710678118654752440f
#define CK_INV_SQRT_2PI 0.39894228040143267794f
// Minimum of the absolute maximum (or mean) from which a scale is computed.
#define CK_SCALE_FLOOR 1e-5f
