using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>llama.cpp on a GGUF of the same shape, with flash attention, one sequence of its cache for each of ours.</summary>
internal sealed unsafe class LlamaLoop : PeerLoop
{
    /// <summary>Offsets of fields in llama_context_params.</summary>
    private const int Context = 0, LargestBatch = 4, Sequences = 12, Threads = 28, BatchThreads = 32, FlashAttention = 52;

    private readonly nint _model, _context;
    private readonly int _vocabulary;
    private readonly int* _tokens, _positions, _counts, _sequences;
    private readonly int** _lists;
    private readonly byte* _wanted;
    private int _batch;

    /// <param name="path">The GGUF.</param>
    /// <param name="vocabulary">Its tokens.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="length">Tokens of each.</param>
    /// <param name="threads">Threads.</param>
    public LlamaLoop(string path, int vocabulary, int batch, int length, int threads)
    {
        PeerLibrary.Use();
        _vocabulary = vocabulary;
        LlamaCalls.llama_log_set(&LlamaCalls.Silence, 0);
        LlamaCalls.ggml_backend_load_all_from_path(PeerLibrary.FolderOf(PeerLibrary.Llama));
        _model = LlamaCalls.llama_model_load_from_file(path, LlamaCalls.llama_model_default_params());
        if (_model == 0) throw new BenchmarkException($"llama.cpp cannot load {path}.");
        _context = LlamaCalls.llama_init_from_model(_model, Parameters(batch, length, threads));
        if (_context == 0 || LlamaCalls.llama_n_seq_max(_context) != batch || LlamaCalls.llama_n_threads(_context) != threads)
            throw new BenchmarkException("llama.cpp did not take its parameters; is it another version?");

        int most = Math.Max(batch, length);
        _tokens = Ints(most);
        _positions = Ints(most);
        _counts = Ints(most);
        _sequences = Ints(most);
        _lists = (int**)NativeMemory.AllocZeroed((nuint)most, (nuint)sizeof(int*));
        _wanted = (byte*)NativeMemory.AllocZeroed((nuint)most);
        for (int i = 0; i < most; i++)
        {
            _counts[i] = 1;
            _lists[i] = _sequences + i;
        }
    }

    public override void Dispose()
    {
        LlamaCalls.llama_free(_context);
        LlamaCalls.llama_model_free(_model);
        foreach (nint block in (nint[])[(nint)_tokens, (nint)_positions, (nint)_counts, (nint)_sequences, (nint)_lists, (nint)_wanted]) NativeMemory.Free((void*)block);
    }

    protected override void Begin(int[][] prompts, int length)
    {
        LlamaCalls.llama_memory_clear(LlamaCalls.llama_get_memory(_context), 1);
        _batch = prompts.Length;
        int[] first = [.. prompts.Select(Read)];
        for (int slot = 0; slot < _batch; slot++) (_tokens[slot], _positions[slot], _sequences[slot], _wanted[slot]) = (first[slot], prompts[slot].Length, slot, 1);
    }

    protected override void Step()
    {
        Decode(_batch);
        for (int slot = 0; slot < _batch; slot++)
        {
            _tokens[slot] = Best(slot);
            _positions[slot]++;
        }
    }

    /// <summary>Reads one prompt, and returns the likeliest token behind it.</summary>
    private int Read(int[] prompt, int slot)
    {
        for (int i = 0; i < prompt.Length; i++) (_tokens[i], _positions[i], _sequences[i], _wanted[i]) = (prompt[i], i, slot, (byte)(i == prompt.Length - 1 ? 1 : 0));
        Decode(prompt.Length);
        return Best(prompt.Length - 1);
    }

    private void Decode(int count)
    {
        int code = LlamaCalls.llama_decode(_context, new() { Count = count, Tokens = _tokens, Positions = _positions, SequenceCounts = _counts, Sequences = _lists, Wanted = _wanted });
        if (code != 0) throw new BenchmarkException($"llama.cpp: llama_decode returned {code}.");
    }

    private int Best(int row) => TensorPrimitives.IndexOfMax(new ReadOnlySpan<float>(LlamaCalls.llama_get_logits_ith(_context, row), _vocabulary));

    private static LlamaCalls.Parameters Parameters(int batch, int length, int threads)
    {
        var parameters = LlamaCalls.llama_context_default_params();
        foreach (var (field, value) in new[] { (Context, batch * length), (LargestBatch, Math.Max(batch, length)), (Sequences, batch), (Threads, threads), (BatchThreads, threads), (FlashAttention, 1) })
            parameters.Set(field, value);
        return parameters;
    }

    private static int* Ints(int count) => (int*)NativeMemory.AllocZeroed((nuint)count, sizeof(int));
}
