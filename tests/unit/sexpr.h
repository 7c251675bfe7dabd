/* Syntax trees as fully bracketed text: everything that a tree holds but its places. */
#ifndef SEXPR_H
#define SEXPR_H

#include "gdlc.h"

void sexpr(Text *to, const Expr *expr);                    /* (+ a (* b c)); "~" for NULL */
void sexpr_declarations(Text *to, const DeclList *declarations);

#endif
