using OnnxLlm.Runtime;

namespace OnnxLlm.Benchmarks.Peers;

/// <summary>A model package opened by ONNX Runtime GenAI, with the ONNX Runtime of this process.</summary>
public sealed class GenAiModel : IDisposable
{
    private readonly nint _model;

    public GenAiModel(string folder)
    {
        PeerLibrary.Use();
        _ = OrtSession.RuntimeVersion;      // GenAI takes the ONNX Runtime that is loaded already
        GenAiCalls.Check(GenAiCalls.OgaCreateModel(folder, out _model));
    }

    /// <summary>The prompt and the likeliest tokens after it, up to a length or the end token.</summary>
    public int[] Greedy(ReadOnlySpan<int> prompt, int length)
    {
        using var generator = new GenAiGenerator(_model, batch: 1, length);
        generator.Append(prompt);
        while (!generator.IsDone) generator.Step();
        return generator.Sequence(0);
    }

    /// <summary>The ids of a text, by GenAI's reading of <c>tokenizer.json</c>.</summary>
    public int[] Encode(string text)
    {
        GenAiCalls.Check(GenAiCalls.OgaCreateTokenizer(_model, out nint tokenizer));
        GenAiCalls.Check(GenAiCalls.OgaCreateSequences(out nint sequences));
        try
        {
            GenAiCalls.Check(GenAiCalls.OgaTokenizerEncode(tokenizer, text, sequences));
            return GenAiCalls.Ids(GenAiCalls.OgaSequencesGetSequenceData(sequences, 0), GenAiCalls.OgaSequencesGetSequenceCount(sequences, 0));
        }
        finally
        {
            GenAiCalls.OgaDestroySequences(sequences);
            GenAiCalls.OgaDestroyTokenizer(tokenizer);
        }
    }

    /// <summary>Starts some sequences that are generated together, greedily.</summary>
    internal GenAiGenerator Generator(int batch, int length) => new(_model, batch, length);

    public void Dispose() => GenAiCalls.OgaDestroyModel(_model);
}
