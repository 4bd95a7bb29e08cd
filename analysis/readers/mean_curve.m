% Mean change of the answer's probability, in percent, a line a window: octave mean_curve.m CUBE
pkg load netcdf

path = argv(){1};
label = @(name) strrep(cellstr(ncread(path, name)'), "\0", "");
% Axes come in reverse order: window_start, window_size, feature_class, route, prompt, model.
% Statuses first: a run may be writing the cube, and flags what is written.
missing = ncread(path, "status") != 2;  % without window_start
logprob = double(ncread(path, "logprob"));
logprob(repmat(reshape(missing, [1 size(missing)]), [size(logprob, 1) 1 1 1 1 1])) = NaN;
clean = double(ncread(path, "clean_logprob"));  % prompt, model
change = 100 * expm1(logprob - reshape(clean, [1 1 1 1 size(clean)]));

there = ! isnan(change);
n = sum(there, 5);
change(! there) = 0;
value = sum(change, 5) ./ n;
model = label("model_label");
route = label("route_label");
feature = label("feature_class_label");
sizes = ncread(path, "window_size");
starts = ncread(path, "window_start");
printf("model,route,feature_class,window_size,window_start,value,n\n");
for m = 1:numel(model)
  for r = 1:numel(route)
    for f = 1:numel(feature)
      for s = 1:numel(sizes)
        for w = 1:numel(starts)
          if n(w, s, f, r, 1, m) > 0
            printf("\"%s\",\"%s\",\"%s\",%d,%d,%.9g,%d\n", model{m}, route{r}, feature{f}, sizes(s), starts(w), ...
                   value(w, s, f, r, 1, m), n(w, s, f, r, 1, m));
          endif
        endfor
      endfor
    endfor
  endfor
endfor
