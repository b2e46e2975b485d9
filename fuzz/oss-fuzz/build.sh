#!/bin/bash -eu
# Builds the fuzz target into $OUT; run by OSS-Fuzz and ClusterFuzzLite in the folder of the
# repository.  No dictionary: all mutation is our own (fuzz/mutation/), which knows the vocabulary,
# and libFuzzer asks a dictionary only in mutations of its own.

name=fuzz_gmemdiff

pip3 install .

# Models are Python files that are found by path, and probes need their source text.
compile_python_fuzzer "fuzz/$name.py" \
  --add-data "$PWD/reference:reference" \
  --add-data "$PWD/patched:patched"

# In place of the usual wrapper, which preloads a sanitizer with a libFuzzer in it.  There is no
# native code of ours to watch, and a preloaded libFuzzer looks for a custom mutator before Atheris
# can bring ours: it would never be called.
cat > "$OUT/$name" <<'WRAPPER'
#!/bin/sh
# LLVMFuzzerTestOneInput for fuzzer detection.
this_dir=$(dirname "$0")
chmod +x "$this_dir/fuzz_gmemdiff.pkg"
exec "$this_dir/fuzz_gmemdiff.pkg" "$@"
WRAPPER
chmod +x "$OUT/$name"

cp "fuzz/oss-fuzz/$name.options" "$OUT/"
python3 -m tools.seed_corpus "$OUT/${name}_seed_corpus.zip" corpora
