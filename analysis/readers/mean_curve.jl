# Mean change of the answer's probability, in percent, a line a window: julia mean_curve.jl CUBE
# Untested: the distributions that the tests run on have no Julia. Takes the package NCDatasets.
using NCDatasets, Printf

cube = NCDataset(ARGS[1])
# Axes come in reverse order: window_start, window_size, feature_class, route, prompt, model.
# Statuses first: a run may be writing the cube, and flags what is written.
done = cube["status"][:, :, :, :, :] .== 2  # without window_start
logprob = Float64.(nomissing(cube["logprob"][:, :, :, :, :, :], NaN32))
logprob = ifelse.(reshape(done, 1, size(done)...), logprob, NaN)
clean = Float64.(nomissing(cube["clean_logprob"][:, :], NaN32))  # prompt, model
change = 100 .* expm1.(logprob .- reshape(clean, 1, 1, 1, 1, size(clean)...))

models, routes, features = cube["model"][:], cube["route"][:], cube["feature_class"][:]
sizes, starts = cube["window_size"][:], cube["window_start"][:]
println("model,route,feature_class,window_size,window_start,value,n")
for m in eachindex(models), r in eachindex(routes), f in eachindex(features), s in eachindex(sizes), w in eachindex(starts)
    there = filter(!isnan, change[w, s, f, r, :, m])
    isempty(there) && continue
    @printf("\"%s\",\"%s\",\"%s\",%d,%d,%.9g,%d\n", models[m], routes[r], features[f], sizes[s], starts[w],
            sum(there) / length(there), length(there))
end
