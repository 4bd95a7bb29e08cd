/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates the token sets of all routes for one prompt, and prints them as a grid under the
   tokens, in lines that fit the terminal. */
#include "src/preview/token_grid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/table.h"
#include "src/prompts/token_set.h"

/* Background colours of the terminal's palette that black text stands out on. */
static const int colors[] = {42, 43, 46, 45, 44, 41, 47, 102, 103, 106};
enum { N_COLORS = sizeof colors / sizeof colors[0], INDENT = 4 };

static enum ko_code list_sets(const struct ko_plan *plan, struct ko_strings *out,
                              struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t r = 0; code == KO_OK && r < plan->n_routes; r++) {
        const struct ko_route *route = &plan->route[r].route;
        for (size_t k = 0; code == KO_OK && k < ko_route_n_sets(route); k++) {
            const char *set = ko_route_set(route, k);
            code = set ? ko_strings_intern(out, set, NULL, err) : KO_OK;
        }
    }
    return code;
}

/* Adds a piece, with control characters escaped. */
static enum ko_code add_piece(struct ko_strings *out, const char *piece, struct ko_error *err)
{
    struct ko_text text = {0};
    for (const char *c = piece; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            ko_text_add(&text, "\\x%02x", (unsigned)*c);
        } else {
            ko_text_add_bytes(&text, c, 1);
        }
    }
    enum ko_code code = ko_text_check(&text, err);
    if (code == KO_OK) {
        code = ko_strings_add(out, ko_text_str(&text), err);
    }
    ko_text_free(&text);
    return code;
}

enum ko_code ko_token_grid_of(const struct ko_plan *plan, const struct ko_prompt *prompt,
                              const struct ko_tokenizer *tokenizer, struct ko_token_grid *out,
                              struct ko_error *err)
{
    struct ko_token_grid grid = {.n_tokens = prompt->n_tokens};
    const size_t n_tokens = (size_t)prompt->n_tokens;
    enum ko_code code = list_sets(plan, &grid.set, err);
    for (size_t k = 0; code == KO_OK && k < n_tokens; k++) {
        const char *piece = ko_tokenizer_piece(tokenizer, prompt->token[k]);
        const char *other = (int32_t)k < prompt->n_embedded ? "row" : "?"; /* of a matrix */
        code = add_piece(&grid.piece, piece ? piece : other, err);
    }
    if (code == KO_OK) {
        grid.member = ko_new(grid.set.n * n_tokens, 1, err);
        code = grid.member ? KO_OK : KO_E_MEMORY;
    }
    for (size_t s = 0; code == KO_OK && s < grid.set.n; s++) {
        code = ko_token_set_eval(grid.set.item[s], prompt, grid.member + s * n_tokens, err);
    }
    if (code == KO_OK) {
        *out = grid;
    } else {
        ko_token_grid_free(&grid);
    }
    return code;
}

void ko_token_grid_free(struct ko_token_grid *grid)
{
    ko_strings_free(&grid->piece);
    ko_strings_free(&grid->set);
    free(grid->member);
    *grid = (struct ko_token_grid){0};
}

/* ----------------------------------------------------------------------------------------------
   printing */

struct printer {
    const struct ko_token_grid *grid;
    struct ko_text *out;
    bool color;
    size_t label_width;
    int32_t first, last; /* positions [first, last) of the current lines */
};

static int32_t n_sets(const struct ko_token_grid *grid, int32_t position)
{
    int32_t n = 0;
    for (size_t s = 0; s < grid->set.n; s++) {
        n += grid->member[s * (size_t)grid->n_tokens + (size_t)position];
    }
    return n;
}

static size_t cell_width(const struct ko_token_grid *grid, int32_t position)
{
    char number[16];
    const size_t piece = ko_display_width(grid->piece.item[position]);
    const int digits = snprintf(number, sizeof number, "%d", position);
    return piece > (size_t)digits ? piece : (size_t)digits;
}

static void begin_line(const struct printer *printer, const char *label)
{
    ko_text_add(printer->out, "%*s", INDENT, "");
    ko_pad(printer->out, label, printer->label_width, false);
}

static void end_line(const struct printer *printer)
{
    struct ko_text *out = printer->out;
    while (out->n > 0 && out->data[out->n - 1] == ' ') {
        out->data[--out->n] = '\0';
    }
    ko_text_add(out, "\n");
}

static void print_positions(const struct printer *printer)
{
    begin_line(printer, "position");
    for (int32_t k = printer->first; k < printer->last; k++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", k);
        ko_text_add(printer->out, " ");
        ko_pad(printer->out, number, cell_width(printer->grid, k), false);
    }
    end_line(printer);
}

/* A token has the colour of its first set, and is underlined if it is in more sets. */
static void print_pieces(const struct printer *printer)
{
    const struct ko_token_grid *grid = printer->grid;
    begin_line(printer, "token");
    for (int32_t k = printer->first; k < printer->last; k++) {
        const int32_t n = n_sets(grid, k);
        size_t s = 0;
        while (n > 0 && !grid->member[s * (size_t)grid->n_tokens + (size_t)k]) {
            s++;
        }
        ko_text_add(printer->out, " ");
        if (printer->color && n > 0) {
            ko_text_add(printer->out, "\x1b[30;%d%sm", colors[s % N_COLORS], n > 1 ? ";4" : "");
        }
        ko_text_add(printer->out, "%s", grid->piece.item[k]);
        if (printer->color && n > 0) {
            ko_text_add(printer->out, "\x1b[0m");
        }
        ko_pad(printer->out, "", cell_width(grid, k) - ko_display_width(grid->piece.item[k]),
               false);
    }
    end_line(printer);
}

static void print_set(const struct printer *printer, size_t set)
{
    const struct ko_token_grid *grid = printer->grid;
    begin_line(printer, grid->set.item[set]);
    if (!memchr(grid->member + set * (size_t)grid->n_tokens, 1, (size_t)grid->n_tokens)) {
        ko_text_add(printer->out, " (empty)");
    }
    for (int32_t k = printer->first; k < printer->last; k++) {
        const bool member = grid->member[set * (size_t)grid->n_tokens + (size_t)k] != 0;
        const size_t width = cell_width(grid, k);
        ko_text_add(printer->out, " ");
        if (member && printer->color) {
            ko_text_add(printer->out, "\x1b[%dm%*s\x1b[0m", colors[set % N_COLORS], (int)width, "");
        }
        for (size_t c = 0; c < width && !(member && printer->color); c++) {
            ko_text_add(printer->out, member ? "#" : " ");
        }
    }
    end_line(printer);
}

static void print_overlaps(const struct printer *printer)
{
    bool any = false;
    for (int32_t k = printer->first; k < printer->last; k++) {
        any = any || n_sets(printer->grid, k) > 1;
    }
    if (!any) {
        return;
    }
    begin_line(printer, "in N sets");
    for (int32_t k = printer->first; k < printer->last; k++) {
        char number[16] = "";
        const int32_t n = n_sets(printer->grid, k);
        if (n > 1) {
            (void)snprintf(number, sizeof number, "%d", n);
        }
        ko_text_add(printer->out, " ");
        ko_pad(printer->out, number, cell_width(printer->grid, k), false);
    }
    end_line(printer);
}

void ko_token_grid_print(const struct ko_token_grid *grid, bool color, int width,
                         struct ko_text *out)
{
    struct printer printer = {
        .grid = grid, .out = out, .color = color, .label_width = strlen("in N sets")};
    for (size_t s = 0; s < grid->set.n; s++) {
        const size_t n = ko_display_width(grid->set.item[s]);
        printer.label_width = n > printer.label_width ? n : printer.label_width;
    }
    while (printer.first < grid->n_tokens) {
        size_t used = INDENT + printer.label_width;
        printer.last = printer.first;
        do {
            used += 1 + cell_width(grid, printer.last++);
        } while (printer.last < grid->n_tokens &&
                 used + 1 + cell_width(grid, printer.last) <= (size_t)width);
        print_positions(&printer);
        print_pieces(&printer);
        for (size_t s = 0; s < grid->set.n; s++) {
            print_set(&printer, s);
        }
        print_overlaps(&printer);
        printer.first = printer.last;
    }
}
