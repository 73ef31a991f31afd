using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>
/// The functions of llama.cpp 0.5.0's C interface that are needed here. Its parameter structures are passed by value; only the fields that are changed are
/// known, by their offsets, and the buffers are longer than the structures, which does no harm.
/// </summary>
internal static partial class LlamaCalls
{
    private const string Library = PeerLibrary.Llama;

    [LibraryImport(PeerLibrary.LlamaBackends, StringMarshalling = StringMarshalling.Utf8)]
    public static partial void ggml_backend_load_all_from_path(string folder);

    [LibraryImport(Library)]
    public static unsafe partial void llama_log_set(delegate* unmanaged<int, nint, nint, void> callback, nint data);

    [LibraryImport(Library)]
    public static partial Parameters llama_model_default_params();

    [LibraryImport(Library)]
    public static partial Parameters llama_context_default_params();

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint llama_model_load_from_file(string path, Parameters parameters);

    [LibraryImport(Library)]
    public static partial void llama_model_free(nint model);

    [LibraryImport(Library)]
    public static partial nint llama_init_from_model(nint model, Parameters parameters);

    [LibraryImport(Library)]
    public static partial void llama_free(nint context);

    [LibraryImport(Library)]
    public static partial uint llama_n_seq_max(nint context);

    [LibraryImport(Library)]
    public static partial int llama_n_threads(nint context);

    [LibraryImport(Library)]
    public static partial nint llama_get_memory(nint context);

    [LibraryImport(Library)]
    public static partial void llama_memory_clear(nint memory, byte data);

    [LibraryImport(Library)]
    public static partial int llama_decode(nint context, Batch batch);

    [LibraryImport(Library)]
    public static unsafe partial float* llama_get_logits_ith(nint context, int row);

    [UnmanagedCallersOnly]
    [SuppressMessage("Style", "IDE0060", Justification = "The library says what is passed.")]
    public static void Silence(int level, nint text, nint data)
    {
        // Nothing it says belongs on our output.
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct Parameters
    {
        private const int Size = 256;

        private fixed byte _bytes[Size];

        /// <summary>Overwrites an int32 field.</summary>
        public void Set(int offset, int value)
        {
            fixed (byte* bytes = _bytes) MemoryMarshal.Write(new Span<byte>(bytes, Size)[offset..], value);
        }
    }

    /// <summary>Tokens with their positions and sequences.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct Batch
    {
        public int Count;
        public int* Tokens;
        public float* Embeddings;
        public int* Positions;
        public int* SequenceCounts;
        public int** Sequences;
        public byte* Wanted;
    }
}
