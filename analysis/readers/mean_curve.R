# Mean change of the answer's probability, in percent, a line a window: Rscript mean_curve.R CUBE
library(ncdf4)

cube <- nc_open(commandArgs(trailingOnly = TRUE)[1])
# Axes come in reverse order: window_start, window_size, feature_class, route, prompt, model.
# Statuses first: a run may be writing the cube, and flags what is written.
status <- ncvar_get(cube, "status", collapse_degen = FALSE) # without window_start
logprob <- ncvar_get(cube, "logprob", collapse_degen = FALSE)
logprob[rep(status != 2, each = dim(logprob)[1])] <- NA
clean <- ncvar_get(cube, "clean_logprob", collapse_degen = FALSE) # prompt, model
change <- 100 * expm1(sweep(logprob, c(5, 6), clean))

others <- c(1, 2, 3, 4, 6)
value <- apply(change, others, mean, na.rm = TRUE)
n <- apply(!is.na(change), others, sum)
label <- function(name) as.vector(ncvar_get(cube, name, collapse_degen = FALSE))
table <- expand.grid(
  window_start = label("window_start"), window_size = label("window_size"), feature_class = label("feature_class_label"),
  route = label("route_label"), model = label("model_label"), stringsAsFactors = FALSE)
table$value <- sprintf("%.9g", as.vector(value))
table$n <- as.vector(n)
columns <- c("model", "route", "feature_class", "window_size", "window_start", "value", "n")
write.csv(table[table$n > 0, columns], row.names = FALSE)
