/* The two ends of a model: the embedding in front of its layers, the final norm and the
   unembedding behind them. A family that uses these functions has a struct ko_ends as the first
   member of its model->bound. */
#ifndef KO_MODELS_ENDS_H
#define KO_MODELS_ENDS_H

#include "src/models/model.h"

/* Weight numbers. */
struct ko_ends {
    bool tied;         /* the unembedding is the embedding */
    size_t embedding;  /* [vocabulary, d_model] */
    size_t final_norm; /* [d_model] */
    size_t head;       /* [vocabulary, d_model]; the embedding's where tied */
};

/* The tensor's names follow the prefix; the head is lm_head.weight without it. */
KO_MUST_CHECK enum ko_code ko_ends_declare_front(struct ko_model *model, const char *prefix,
                                                 const char *embedding, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_ends_declare_back(struct ko_model *model, const char *prefix,
                                                const char *final_norm, struct ko_error *err);

/* The functions of a struct ko_family: a lm_head.weight that repeats the tied embedding is ignored;
   tokens alone are embedded; the final norm is RMSNorm. */
bool ko_ends_ignores(const struct ko_model *model, const struct ko_checkpoint *checkpoint,
                     const struct ko_tensor *tensor);
KO_MUST_CHECK enum ko_code ko_ends_embed(const struct ko_pass *pass, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_ends_final_norm(const struct ko_pass *pass, int32_t n, float *x,
                                              struct ko_error *err);
struct ko_matrix ko_ends_unembedding(const struct ko_model *model, const struct ko_arena *arena);

#endif
