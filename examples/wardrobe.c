/* wardrobe.c: how each garment is cut. Clothes are drawn as their right half and mirrored; shoes are seen from the side,
 * with the toe to the left. Every measure is drawn at random around that of a plain piece. */
#include "wardrobe.h"

#include <math.h>
#include <stddef.h>

typedef struct Sketch {
    Canvas *canvas;
    Random *random;
    Paint cloth;
} Sketch;

/* ── Cloth ────────────────────────────────────────────────────────────────────────────────── */

/* A value near `middle`, within `spread` to both sides, mostly close. */
static float about(Sketch *s, float middle, float spread) {
    return middle + spread * (between(s->random, -0.5f, 0.5f) + between(s->random, -0.5f, 0.5f));
}

static Paint plain_cloth(Random *random) {
    return (Paint){ .tone = between(random, 0.34f, 1.0f), .phase = between(random, 0, 1),
                    .edge = between(random, 0.25f, 0.5f), .fold = between(random, 0.02f, 0.07f), .grain = 0.04f,
                    .fold_wave = { between(random, -6, 6), between(random, 2, 6) } };
}

/* Prints a pattern on the cloth, in about half of the cases. */
static void print_cloth(Sketch *s) {
    static float (*const patterns[])(const Paint *, float, float) = {
        pattern_stripes, pattern_stripes, pattern_pinstripes, pattern_checks, pattern_dots, pattern_gradient, pattern_block };
    if (chance(s->random, 0.5f)) return;
    s->cloth.pattern = patterns[pick(s->random, (int)(sizeof patterns / sizeof *patterns))];
    s->cloth.contrast = between(s->random, 0.12f, 0.4f);
    s->cloth.period = between(s->random, 0.22f, 0.5f);
}

static void knit_cloth(Sketch *s) {
    s->cloth.pattern = pattern_knit;
    s->cloth.contrast = between(s->random, 0.08f, 0.25f);
    s->cloth.period = between(s->random, 0.16f, 0.24f);
}

/* The same cloth in another tone, `factor` times as bright. */
static Paint shade(const Sketch *s, float factor) {
    Paint paint = s->cloth;
    paint.tone = fminf(paint.tone * factor, 1);
    return paint;
}

static void line(Sketch *s, float x0, float y0, float x1, float y1, float width, float tone, float opacity) {
    Path path;
    path_start(&path, x0, y0);
    path_line(&path, x1, y1);
    stroke(s->canvas, &path, width, tone, opacity);
}

/* A seam: a thin darker line. Drawn on both sides of the middle where x0 or x1 is not 0. */
static void seams(Sketch *s, float x0, float y0, float x1, float y1, float opacity) {
    float tone = 0.3f * s->cloth.tone;
    line(s, x0, y0, x1, y1, 0.05f, tone, opacity);
    if (x0 != 0 || x1 != 0) line(s, -x0, y0, -x1, y1, 0.05f, tone, opacity);
}

/* ── Clothes for the upper body ───────────────────────────────────────────────────────────── */

/* Measures of a garment that hangs from the shoulders: heights y from -1 (top) to 1, widths from the middle. */
typedef struct Cut {
    float top, bottom;
    float neck, neck_depth;
    float shoulder, shoulder_y;
    float armpit, armpit_y;
    float waist, waist_y;
    float hem;
    float sleeve, sleeve_angle, sleeve_width; /* length, angle from straight down, half the width of the cuff */
    float elbow;                              /* how far the sleeve bows outwards */
} Cut;

/* The cuff of the right sleeve: its middle, and the half of its width as a vector. */
static Point cuff(const Cut *c, Point *half) {
    float dx = sinf(c->sleeve_angle), dy = cosf(c->sleeve_angle);
    *half = (Point){ c->sleeve_width * dy, -c->sleeve_width * dx };
    float from = (c->shoulder + c->armpit) / 2, from_y = (c->shoulder_y + c->armpit_y) / 2;
    return (Point){ from + c->sleeve * dx, from_y + c->sleeve * dy };
}

static Path sleeve_outline(const Cut *c) {
    Path path;
    Point half, end = cuff(c, &half), outer = { end.x + half.x, end.y + half.y }, inner = { end.x - half.x, end.y - half.y };
    path_start(&path, c->shoulder - 0.12f, c->shoulder_y - 0.03f);
    path_line(&path, c->shoulder, c->shoulder_y);
    path_curve(&path, (c->shoulder + outer.x) / 2 + c->elbow, (c->shoulder_y + outer.y) / 2 - 0.4f * c->elbow, outer.x, outer.y);
    path_line(&path, inner.x, inner.y);
    path_curve(&path, (c->armpit + inner.x) / 2 + 0.6f * c->elbow, (c->armpit_y + inner.y) / 2 - 0.2f * c->elbow,
               c->armpit, c->armpit_y);
    path_line(&path, c->armpit - 0.12f, c->armpit_y);
    return path;
}

static Path body_outline(const Cut *c) {
    Path path;
    path_start(&path, 0, c->top + c->neck_depth);
    path_curve(&path, 0.8f * c->neck, c->top + c->neck_depth, c->neck, c->top);
    path_line(&path, c->shoulder, c->shoulder_y);
    path_curve(&path, c->shoulder - 0.06f, (c->shoulder_y + c->armpit_y) / 2, c->armpit, c->armpit_y);
    path_curve(&path, (c->armpit + c->waist) / 2, c->armpit_y + 0.7f * (c->waist_y - c->armpit_y), c->waist, c->waist_y);
    path_curve(&path, c->waist + 0.3f * (c->hem - c->waist), (c->waist_y + c->bottom) / 2, c->hem, c->bottom - 0.03f);
    path_curve(&path, 0.5f * c->hem, c->bottom, 0, c->bottom);
    path_mirror(&path);
    return path;
}

/* The inside of the back, seen through the neck. */
static void draw_back(Sketch *s, const Cut *c) {
    Path path;
    Paint inside = shade(s, 0.45f);
    inside.pattern = NULL;
    path_start(&path, 0, c->top + 0.05f);
    path_curve(&path, 0.7f * c->neck, c->top + 0.04f, c->neck, c->top - 0.01f);
    path_curve(&path, 0.8f * c->neck, c->top + c->neck_depth, 0, c->top + c->neck_depth + 0.03f);
    path_mirror(&path);
    fill(s->canvas, &path, &inside);
}

static void draw_sleeves(Sketch *s, const Cut *c) {
    Path right = sleeve_outline(c), left = path_flipped(&right);
    Paint cloth = shade(s, 0.9f);
    fill(s->canvas, &right, &cloth);
    fill(s->canvas, &left, &cloth);
}

/* Bands along the ends of the sleeves: ribbed cuffs, or hems. */
static void draw_cuffs(Sketch *s, const Cut *c, float opacity) {
    Point half, end = cuff(c, &half);
    float back_x = 0.1f * sinf(c->sleeve_angle), back_y = 0.1f * cosf(c->sleeve_angle);
    seams(s, end.x + half.x - back_x, end.y + half.y - back_y, end.x - half.x - back_x, end.y - half.y - back_y, opacity);
}

static void draw_upper(Sketch *s, const Cut *c) {
    Path body = body_outline(c);
    draw_back(s, c);
    if (c->sleeve > 0) draw_sleeves(s, c);
    fill(s->canvas, &body, &s->cloth);
    if (c->sleeve > 0) seams(s, c->shoulder, c->shoulder_y, c->armpit, c->armpit_y, 0.55f);
}

/* A band around the neck: lighter or darker than the cloth. */
static void draw_neckband(Sketch *s, const Cut *c, float width, float factor) {
    Path path;
    path_start(&path, c->neck, c->top);
    path_curve(&path, 0.8f * c->neck, c->top + c->neck_depth, 0, c->top + c->neck_depth);
    path_curve(&path, -0.8f * c->neck, c->top + c->neck_depth, -c->neck, c->top);
    stroke(s->canvas, &path, width, fminf(factor * s->cloth.tone, 1), 0.8f);
}

/* Two flaps that fall from the neck to both sides of the middle, reaching down to y and widest at wide_y. */
static void draw_collar(Sketch *s, const Cut *c, float y, float wide_y, float factor) {
    Path right, left;
    Paint cloth = shade(s, factor);
    cloth.edge = 0.1f;
    path_start(&right, 0.02f, c->top + c->neck_depth);
    path_line(&right, c->neck * 0.75f, c->top - 0.05f);
    path_line(&right, c->neck + 0.06f, c->top + 0.03f);
    path_line(&right, c->neck + 0.02f, wide_y);
    path_line(&right, 0.06f, y);
    left = path_flipped(&right);
    fill(s->canvas, &right, &cloth);
    fill(s->canvas, &left, &cloth);
    stroke(s->canvas, &right, 0.05f, 0.3f * s->cloth.tone, 0.6f);
    stroke(s->canvas, &left, 0.05f, 0.3f * s->cloth.tone, 0.6f);
}

static void draw_buttons(Sketch *s, float x, float from, float to, int count) {
    float tone = s->cloth.tone > 0.6f ? 0.15f : 0.95f;
    for (int i = 0; i < count; i++)
        dot(s->canvas, x, from + (to - from) * ((float)i + 0.5f) / (float)count, 0.04f, tone, 0.75f);
}

static void draw_tshirt(Sketch *s) {
    Cut c = { .top = about(s, -0.9f, 0.06f), .bottom = about(s, 0.88f, 0.1f), .neck = about(s, 0.24f, 0.07f),
              .neck_depth = about(s, 0.16f, 0.08f), .shoulder = about(s, 0.55f, 0.06f), .shoulder_y = about(s, -0.76f, 0.05f),
              .armpit = about(s, 0.5f, 0.06f), .armpit_y = about(s, -0.28f, 0.07f), .waist = about(s, 0.48f, 0.07f),
              .waist_y = 0.2f, .hem = about(s, 0.52f, 0.08f), .sleeve = about(s, 0.38f, 0.1f),
              .sleeve_angle = about(s, 0.9f, 0.2f), .sleeve_width = about(s, 0.19f, 0.04f), .elbow = 0.04f };
    if (chance(s->random, 0.12f)) c.sleeve = 0, c.shoulder = 0.4f, c.neck_depth += 0.12f; /* a tank top */
    print_cloth(s);
    draw_upper(s, &c);
    draw_neckband(s, &c, 0.09f, chance(s->random, 0.5f) ? 0.6f : 1.2f);
    if (c.sleeve > 0) draw_cuffs(s, &c, 0.4f);
    if (!s->cloth.pattern && chance(s->random, 0.45f)) { /* a print on the chest */
        Path print;
        float w = about(s, 0.25f, 0.1f), h = about(s, 0.16f, 0.1f), y = about(s, -0.1f, 0.15f);
        Paint paint = { .tone = s->cloth.tone > 0.6f ? 0.25f : 0.95f, .pattern = pattern_dots, .contrast = 0.4f,
                        .period = between(s->random, 0.2f, 0.5f), .edge = 0.2f, .phase = s->cloth.phase };
        path_start(&print, 0, y - h);
        path_curve(&print, w, y - h, w, y);
        path_curve(&print, w, y + h, 0, y + h);
        path_mirror(&print);
        fill(s->canvas, &print, &paint);
    }
}

static Cut long_sleeved(Sketch *s) {
    return (Cut){ .top = about(s, -0.9f, 0.06f), .bottom = about(s, 0.85f, 0.08f), .neck = about(s, 0.23f, 0.05f),
                  .neck_depth = about(s, 0.1f, 0.05f), .shoulder = about(s, 0.5f, 0.06f), .shoulder_y = about(s, -0.75f, 0.05f),
                  .armpit = about(s, 0.46f, 0.05f), .armpit_y = about(s, -0.25f, 0.07f), .waist = about(s, 0.46f, 0.05f),
                  .waist_y = 0.2f, .hem = about(s, 0.46f, 0.06f), .sleeve = about(s, 1.2f, 0.12f),
                  .sleeve_angle = about(s, 0.24f, 0.1f), .sleeve_width = about(s, 0.11f, 0.03f), .elbow = about(s, 0.12f, 0.06f) };
}

static void draw_pullover(Sketch *s) {
    Cut c = long_sleeved(s);
    if (chance(s->random, 0.55f)) knit_cloth(s);
    else if (chance(s->random, 0.6f)) print_cloth(s);
    if (chance(s->random, 0.25f)) c.neck_depth = about(s, 0.3f, 0.1f); /* a V neck */
    draw_upper(s, &c);
    draw_neckband(s, &c, 0.12f, chance(s->random, 0.6f) ? 0.65f : 1.25f);
    draw_cuffs(s, &c, 0.7f);
    seams(s, 0, c.bottom - 0.12f, c.hem - 0.02f, c.bottom - 0.14f, 0.6f);
}

static void draw_coat(Sketch *s) {
    Cut c = long_sleeved(s);
    float lapel = about(s, -0.25f, 0.15f), x = chance(s->random, 0.3f) ? 0.14f : 0.07f;
    int buttons = 3 + pick(s->random, 3);
    c.bottom = about(s, 0.95f, 0.03f);
    c.hem = about(s, 0.54f, 0.06f);
    c.neck_depth = about(s, 0.12f, 0.04f);
    c.sleeve_width = about(s, 0.14f, 0.03f);
    s->cloth.tone *= 0.9f;
    draw_upper(s, &c);
    line(s, 0.02f, c.top + c.neck_depth, about(s, 0.02f, 0.02f), c.bottom, 0.09f, 0.08f, 0.9f); /* the opening */
    if (chance(s->random, 0.5f)) { /* it falls open below */
        Path gap;
        Paint inside = { .tone = 0.12f };
        path_start(&gap, 0.02f, 0.3f);
        path_line(&gap, 0.02f + between(s->random, 0.05f, 0.14f), 1);
        path_line(&gap, -0.05f, 1);
        fill(s->canvas, &gap, &inside);
    }
    draw_collar(s, &c, lapel, (c.top + lapel) / 2, chance(s->random, 0.5f) ? 0.75f : 1.2f);
    draw_buttons(s, x + 0.03f, lapel + 0.1f, 0.7f, buttons);
    if (x > 0.1f) draw_buttons(s, -x, lapel + 0.1f, 0.7f, buttons);
    seams(s, 0.2f, 0.35f, 0.4f, about(s, 0.32f, 0.08f), 0.85f); /* pockets */
    draw_cuffs(s, &c, 0.4f);
}

static void draw_shirt(Sketch *s) {
    Cut c = long_sleeved(s);
    c.neck_depth = about(s, 0.16f, 0.03f);
    c.bottom = about(s, 0.9f, 0.05f);
    c.hem = about(s, 0.5f, 0.05f);
    if (chance(s->random, 0.35f)) c.sleeve = about(s, 0.42f, 0.06f), c.sleeve_angle = about(s, 0.75f, 0.1f), c.sleeve_width = 0.2f;
    s->cloth.tone = fminf(s->cloth.tone * 1.1f, 1);
    s->cloth.edge *= 0.8f;
    if (chance(s->random, 0.6f)) {
        s->cloth.pattern = chance(s->random, 0.5f) ? pattern_checks : pattern_pinstripes;
        s->cloth.contrast = between(s->random, 0.12f, 0.35f);
        s->cloth.period = between(s->random, 0.2f, 0.32f);
    }
    draw_upper(s, &c);
    line(s, 0.07f, c.top + c.neck_depth, 0.07f, c.bottom, 0.05f, 0.35f * s->cloth.tone, 0.6f); /* the placket */
    line(s, -0.07f, c.top + c.neck_depth, -0.07f, c.bottom, 0.05f, 0.35f * s->cloth.tone, 0.35f);
    draw_collar(s, &c, c.top + c.neck_depth + 0.16f, c.top + c.neck_depth + 0.1f, 1.15f);
    draw_buttons(s, 0, c.top + c.neck_depth + 0.14f, c.bottom - 0.05f, 6);
    draw_cuffs(s, &c, 0.6f);
    if (chance(s->random, 0.5f)) { /* a pocket on the chest */
        line(s, 0.2f, -0.22f, 0.38f, -0.22f, 0.05f, 0.35f * s->cloth.tone, 0.7f);
        line(s, 0.2f, -0.22f, 0.2f, -0.02f, 0.04f, 0.35f * s->cloth.tone, 0.4f);
    }
}

static void draw_dress(Sketch *s) {
    Cut c = { .top = about(s, -0.94f, 0.03f), .bottom = about(s, 0.94f, 0.04f), .neck = about(s, 0.19f, 0.05f),
              .neck_depth = about(s, 0.2f, 0.1f), .shoulder = about(s, 0.3f, 0.04f), .shoulder_y = about(s, -0.86f, 0.03f),
              .armpit = about(s, 0.29f, 0.03f), .armpit_y = about(s, -0.5f, 0.05f), .waist = about(s, 0.23f, 0.04f),
              .waist_y = about(s, -0.12f, 0.08f), .hem = about(s, 0.5f, 0.25f), .elbow = 0.03f,
              .sleeve_width = 0.1f, .sleeve_angle = about(s, 0.5f, 0.15f) };
    if (chance(s->random, 0.4f)) c.sleeve = chance(s->random, 0.7f) ? about(s, 0.24f, 0.06f) : about(s, 0.9f, 0.1f), c.elbow = 0.06f;
    if (c.sleeve > 0.5f) c.sleeve_angle = about(s, 0.25f, 0.08f), c.sleeve_width = 0.08f;
    print_cloth(s);
    s->cloth.fold_wave = (Point){ between(s->random, 8, 14), between(s->random, -1, 1) }; /* the skirt falls in long folds */
    s->cloth.fold = between(s->random, 0.04f, 0.12f);
    draw_upper(s, &c);
    if (chance(s->random, 0.6f)) line(s, -c.waist, c.waist_y, c.waist, c.waist_y, 0.1f, 0.35f * s->cloth.tone, 0.8f); /* a belt */
    if (chance(s->random, 0.5f)) /* pleats */
        for (int i = -2; i <= 2; i++) {
            float spread = (float)i / 2.5f;
            line(s, spread * c.waist, c.waist_y + 0.1f, spread * c.hem, c.bottom - 0.05f, 0.045f, 0.35f * s->cloth.tone, 0.4f);
        }
    draw_neckband(s, &c, 0.06f, 0.6f);
}

/* ── Trousers ─────────────────────────────────────────────────────────────────────────────── */

static void draw_trouser(Sketch *s) {
    float top = about(s, -0.94f, 0.04f), bottom = about(s, 0.95f, 0.03f), waist = about(s, 0.3f, 0.05f);
    float hip = waist + about(s, 0.07f, 0.04f), crotch = about(s, -0.38f, 0.06f), inner = about(s, 0.1f, 0.05f);
    float leg = about(s, 0.24f, 0.08f), knee = inner + leg + about(s, -0.02f, 0.03f);
    Path path;
    path_start(&path, 0, top + 0.03f);
    path_line(&path, waist, top);
    path_curve(&path, hip, top + 0.2f, hip, crotch);
    path_curve(&path, knee, 0.2f, inner + leg, bottom);
    path_line(&path, inner, bottom - 0.02f);
    path_curve(&path, 0.4f * inner, 0.2f, 0.015f, crotch + 0.08f);
    path_mirror(&path);
    if (chance(s->random, 0.25f)) print_cloth(s);
    s->cloth.fold_wave = (Point){ between(s->random, 3, 6), between(s->random, 3, 8) };
    fill(s->canvas, &path, &s->cloth);
    line(s, -waist, top + 0.12f, waist, top + 0.12f, 0.05f, 0.3f * s->cloth.tone, 0.75f); /* the waistband */
    line(s, 0, top + 0.12f, 0, crotch + 0.05f, 0.05f, 0.3f * s->cloth.tone, 0.7f);        /* the fly */
    seams(s, hip - 0.02f, top + 0.3f, 0.55f * waist, top + 0.14f, 0.6f);                 /* pockets */
    seams(s, 0.55f * hip, crotch - 0.05f, inner + leg / 2, bottom, about(s, 0.3f, 0.3f)); /* the crease */
    if (chance(s->random, 0.4f)) seams(s, inner, bottom - 0.1f, inner + leg, bottom - 0.09f, 0.6f); /* turn-ups */
}

/* ── Shoes ────────────────────────────────────────────────────────────────────────────────── */

static void draw_sole(Sketch *s, float y, float thickness, float tone) {
    Path path;
    Paint rubber = { .tone = tone, .edge = 0.15f, .grain = 0.03f };
    path_start(&path, -0.93f, y);
    path_curve(&path, -0.98f, y + 0.5f * thickness, -0.85f, y + thickness);
    path_line(&path, 0.88f, y + thickness);
    path_curve(&path, 0.97f, y + 0.5f * thickness, 0.93f, y - 0.02f);
    fill(s->canvas, &path, &rubber);
    line(s, -0.9f, y, 0.9f, y - 0.01f, 0.05f, 0.1f, 0.5f);
}

static void draw_sneaker(Sketch *s) {
    float sole = about(s, 0.24f, 0.04f), thick = about(s, 0.17f, 0.05f), toe = about(s, 0.0f, 0.06f);
    float tongue = about(s, -0.42f, 0.08f), collar = about(s, -0.22f, 0.06f), heel = about(s, -0.38f, 0.07f), tongue_x = about(s, 0.05f, 0.06f);
    float mark = s->cloth.tone > 0.6f ? 0.2f : 0.95f;
    Path path, opening;
    path_start(&path, -0.93f, sole + 0.04f);
    path_curve(&path, -0.98f, toe, -0.66f, toe - 0.04f);
    path_curve(&path, -0.4f, toe - 0.08f, tongue_x - 0.12f, tongue + 0.02f);
    path_line(&path, tongue_x, tongue);
    path_curve(&path, 0.4f, collar + 0.1f, 0.78f, heel);
    path_curve(&path, 0.94f, heel, 0.88f, 0.0f);
    path_line(&path, 0.93f, sole + 0.04f);
    path_start(&opening, tongue_x, tongue - 0.01f);
    path_curve(&opening, 0.4f, tongue - 0.05f, 0.76f, heel - 0.01f);
    path_curve(&opening, 0.4f, collar + 0.1f, tongue_x, tongue);
    Paint lining = shade(s, 0.4f);
    fill(s->canvas, &opening, &lining);
    fill(s->canvas, &path, &s->cloth);
    draw_sole(s, sole, thick, chance(s->random, 0.6f) ? 0.95f : 0.45f);
    for (int i = 0; i < 4; i++) { /* laces */
        float t = 0.12f + 0.22f * (float)i, x = -0.5f + t * (tongue_x + 0.42f), y = toe - 0.05f + t * (tongue - toe + 0.1f);
        line(s, x - 0.04f, y, x + 0.14f, y + 0.1f, 0.05f, mark, 0.85f);
    }
    path_start(&path, -0.66f, toe - 0.02f); /* the toe cap */
    path_curve(&path, -0.5f, 0.1f, -0.62f, sole);
    stroke(s->canvas, &path, 0.05f, 0.3f * s->cloth.tone, 0.6f);
    int stripes = pick(s->random, 4);
    for (int i = 0; i < stripes; i++) line(s, 0.12f + 0.16f * (float)i, -0.12f, -0.04f + 0.16f * (float)i, 0.18f, 0.07f, mark, 0.8f);
    if (stripes == 0) line(s, 0.6f, -0.15f, 0.55f, sole, 0.06f, 0.3f * s->cloth.tone, 0.6f);
}

static void draw_heel(Sketch *s, float front, float y, float height, float taper) {
    Path path;
    Paint leather = shade(s, 0.6f);
    path_start(&path, front, y - 0.03f);
    path_line(&path, 0.9f, y - 0.03f);
    path_line(&path, 0.89f - 0.3f * taper, y + height);
    path_line(&path, front + taper, y + height);
    fill(s->canvas, &path, &leather);
}

static void draw_boot(Sketch *s) {
    float top = about(s, -0.88f, 0.08f), sole = about(s, 0.62f, 0.04f), toe = about(s, 0.28f, 0.06f), front = about(s, 0.0f, 0.08f);
    float back = about(s, 0.82f, 0.05f), heel = chance(s->random, 0.5f) ? about(s, 0.28f, 0.04f) : 0.13f;
    Path path;
    if (chance(s->random, 0.8f)) s->cloth.tone *= 0.8f;
    path_start(&path, -0.93f, sole);
    path_curve(&path, -1.0f, toe, -0.62f, toe - 0.04f);
    path_curve(&path, front - 0.14f, toe - 0.16f, front, -0.15f);
    path_curve(&path, front + 0.03f, -0.5f, front - 0.02f, top + 0.02f);
    path_curve(&path, 0.4f, top - 0.04f, back, top + 0.04f);
    path_curve(&path, back - 0.08f, -0.1f, 0.88f, 0.3f);
    path_line(&path, 0.9f, sole);
    draw_heel(s, heel > 0.2f ? 0.42f : 0.3f, sole, heel, heel > 0.2f ? 0.1f : 0.02f);
    fill(s->canvas, &path, &s->cloth);
    line(s, -0.9f, sole, heel > 0.2f ? 0.4f : 0.88f, sole + 0.01f, heel > 0.2f ? 0.08f : 0.12f, 0.25f, 0.85f);
    line(s, front, top + 0.03f, back - 0.03f, top + 0.04f, 0.07f, 0.25f * s->cloth.tone, 0.7f);
    int kind = pick(s->random, 4);
    if (kind == 0) { /* elastic sides */
        Path side;
        Paint elastic = { .tone = 0.3f * s->cloth.tone, .pattern = pattern_pinstripes, .contrast = 0.3f, .period = 0.1f };
        path_start(&side, 0.24f, top + 0.05f);
        path_line(&side, 0.6f, top + 0.05f);
        path_curve(&side, 0.5f, 0.05f, 0.42f, 0.1f);
        path_curve(&side, 0.3f, 0.05f, 0.24f, top + 0.05f);
        fill(s->canvas, &side, &elastic);
    } else if (kind == 1) { /* laces */
        for (int i = 0; i < 5; i++) line(s, front - 0.02f, -0.68f + 0.16f * (float)i, front + 0.16f, -0.62f + 0.16f * (float)i, 0.05f, 0.9f, 0.7f);
    } else if (kind == 2) { /* a strap with its buckle */
        line(s, front - 0.05f, 0.02f, 0.86f, -0.06f, 0.1f, 0.4f * s->cloth.tone, 0.9f);
        dot(s->canvas, 0.4f, -0.02f, 0.07f, 0.95f, 0.9f);
    } else line(s, 0.45f, top + 0.08f, 0.5f, 0.35f, 0.05f, 0.2f * s->cloth.tone, 0.85f); /* a zip */
}

/* A strap of a sandal: an arch of leather. */
static void draw_strap(Sketch *s, float x0, float y0, float peak_x, float peak_y, float x1, float y1, float width) {
    Path path;
    path_start(&path, x0, y0);
    path_curve(&path, 2 * peak_x - (x0 + x1) / 2, 2 * peak_y - (y0 + y1) / 2, x1, y1);
    stroke(s->canvas, &path, width, s->cloth.tone, 1);
    stroke(s->canvas, &path, 0.3f * width, 0.6f * s->cloth.tone, 0.5f);
}

static void draw_sandal(Sketch *s) {
    int kind = pick(s->random, 3); /* flat, wedge, high heel */
    float toe = about(s, 0.42f, 0.04f), rise = kind == 0 ? 0.08f : about(s, 0.5f, 0.12f), heel = toe - rise, width = about(s, 0.17f, 0.06f);
    float thick = kind == 0 ? about(s, 0.18f, 0.05f) : 0.13f, ankle = heel - about(s, 0.5f, 0.1f);
    Path sole;
    s->cloth.tone = fminf(s->cloth.tone + 0.12f, 1);
    Paint leather = shade(s, between(s->random, 0.55f, 0.9f));
    draw_strap(s, 0.3f, heel + 0.05f, 0.42f, ankle - 0.04f, 0.88f, ankle + 0.1f, width);
    draw_strap(s, 0.88f, ankle + 0.12f, 0.86f, (ankle + heel) / 2, 0.84f, heel, width);
    path_start(&sole, -0.95f, toe);
    path_curve(&sole, -0.3f, toe + 0.02f, 0.1f, toe - 0.55f * rise);
    path_curve(&sole, 0.4f, heel, 0.9f, heel);
    if (kind == 1) {
        path_line(&sole, 0.88f, toe + thick);
    } else {
        path_line(&sole, 0.9f, heel + thick);
        path_curve(&sole, 0.4f, heel + thick + 0.04f, 0.1f, toe - 0.55f * rise + thick + 0.03f);
        path_curve(&sole, -0.2f, toe + thick, -0.5f, toe + thick);
    }
    path_line(&sole, -0.9f, toe + thick);
    if (kind == 2) draw_heel(s, 0.68f, heel + thick, rise, 0.12f);
    fill(s->canvas, &sole, &leather);
    float foot = toe - 0.3f * rise;
    draw_strap(s, -0.78f, toe + 0.02f, -0.5f, toe - 0.34f, -0.25f, toe, width);
    draw_strap(s, -0.5f, toe + 0.02f, -0.2f, foot - 0.36f, 0.08f, foot - 0.02f, width);
    if (chance(s->random, 0.4f)) draw_strap(s, -0.35f, toe - 0.3f, 0.0f, ankle + 0.2f, 0.38f, ankle + 0.06f, width);
    dot(s->canvas, 0.5f, ankle + 0.02f, 0.05f, 0.95f, 0.8f); /* the buckle */
}

/* ── Bags ─────────────────────────────────────────────────────────────────────────────────── */

static void draw_handle(Sketch *s, float half, float from, float top, float width, float tone) {
    Path path;
    path_start(&path, -half, from);
    path_curve(&path, -half, top, 0, top);
    path_curve(&path, half, top, half, from);
    stroke(s->canvas, &path, width, tone, 1);
}

static void draw_bag(Sketch *s) {
    float top = about(s, -0.2f, 0.2f), bottom = about(s, 0.82f, 0.1f), wide = about(s, 0.85f, 0.1f), narrow = wide - about(s, 0.1f, 0.12f);
    float handle = fmaxf(top - about(s, 0.65f, 0.25f), -0.96f), half = about(s, 0.42f, 0.15f);
    Path path;
    if (chance(s->random, 0.35f)) print_cloth(s);
    draw_handle(s, half, top + 0.1f, handle, about(s, 0.09f, 0.03f), 0.75f * s->cloth.tone);
    if (chance(s->random, 0.4f)) draw_handle(s, half + 0.08f, top + 0.1f, handle + 0.12f, 0.07f, 0.5f * s->cloth.tone);
    path_start(&path, 0, top);
    path_line(&path, narrow - 0.1f, top);
    path_curve(&path, narrow, top, narrow + 0.02f, top + 0.12f);
    path_line(&path, wide, bottom - 0.14f);
    path_curve(&path, wide, bottom, wide - 0.16f, bottom);
    path_line(&path, 0, bottom);
    path_mirror(&path);
    fill(s->canvas, &path, &s->cloth);
    if (chance(s->random, 0.5f)) { /* a flap with its clasp */
        float flap = about(s, (top + bottom) / 2 + 0.02f, 0.1f);
        Paint leather = shade(s, chance(s->random, 0.5f) ? 0.8f : 1.15f);
        path_start(&path, 0, top);
        path_line(&path, narrow, top);
        path_curve(&path, narrow + 0.04f, flap, 0.55f * narrow, flap);
        path_line(&path, 0, flap);
        path_mirror(&path);
        fill(s->canvas, &path, &leather);
        stroke(s->canvas, &path, 0.05f, 0.3f * s->cloth.tone, 0.6f);
        dot(s->canvas, 0, flap - 0.04f, 0.08f, s->cloth.tone > 0.6f ? 0.2f : 0.98f, 0.9f);
    } else { /* a zip along the top, and seams */
        line(s, -narrow + 0.05f, top + 0.1f, narrow - 0.05f, top + 0.1f, 0.06f, 0.25f * s->cloth.tone, 0.8f);
        if (chance(s->random, 0.5f)) seams(s, 0.6f * narrow, top + 0.1f, 0.65f * wide, bottom, 0.6f);
        else seams(s, 0, bottom - 0.25f, wide, bottom - 0.25f, 0.6f);
    }
}

/* ── The wardrobe ─────────────────────────────────────────────────────────────────────────── */

static const struct { const char *name; void (*draw)(Sketch *s); } wardrobe[GARMENTS] = {
    { "T-shirt/top", draw_tshirt }, { "Trouser", draw_trouser }, { "Pullover", draw_pullover }, { "Dress", draw_dress },
    { "Coat", draw_coat },          { "Sandal", draw_sandal },   { "Shirt", draw_shirt },       { "Sneaker", draw_sneaker },
    { "Bag", draw_bag },            { "Ankle boot", draw_boot },
};

const char *garment_name(int label) { return wardrobe[label].name; }

void draw_garment(Canvas *canvas, int label, int size, Random *random) {
    Sketch sketch = { .canvas = canvas, .random = random, .cloth = plain_cloth(random) };
    float span = (float)size * between(random, 0.88f, 1.0f);
    canvas_clear(canvas, size, span, between(random, -0.05f, 0.05f), between(random, -0.06f, 0.06f), random);
    canvas->centre.x += between(random, -0.7f, 0.7f);
    canvas->centre.y += between(random, -0.7f, 0.7f);
    wardrobe[label].draw(&sketch);
}
