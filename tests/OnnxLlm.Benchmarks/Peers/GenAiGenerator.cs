namespace OnnxLlm.Benchmarks.Peers;

/// <summary>Sequences that ONNX Runtime GenAI generates together: their prompts are of one length, and they grow by one token each a step.</summary>
internal sealed class GenAiGenerator : IDisposable
{
    private readonly nint _generator;

    /// <param name="model">GenAI's model.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="length">The longest sequence, prompt and answer together.</param>
    public GenAiGenerator(nint model, int batch, int length)
    {
        GenAiCalls.Check(GenAiCalls.OgaCreateGeneratorParams(model, out nint parameters));
        try
        {
            GenAiCalls.Check(GenAiCalls.OgaGeneratorParamsSetSearchNumber(parameters, "batch_size", batch));
            GenAiCalls.Check(GenAiCalls.OgaGeneratorParamsSetSearchNumber(parameters, "max_length", length));
            GenAiCalls.Check(GenAiCalls.OgaCreateGenerator(model, parameters, out _generator));
        }
        finally
        {
            GenAiCalls.OgaDestroyGeneratorParams(parameters);
        }
    }

    public bool IsDone => GenAiCalls.OgaGenerator_IsDone(_generator) != 0;

    /// <summary>Reads the prompts of all sequences, one after the other.</summary>
    public void Append(ReadOnlySpan<int> prompts) => GenAiCalls.Check(GenAiCalls.OgaGenerator_AppendTokens(_generator, prompts, (nuint)prompts.Length));

    /// <summary>Chooses the next token of each sequence; computes its scores first where that is not done yet.</summary>
    public void Step() => GenAiCalls.Check(GenAiCalls.OgaGenerator_GenerateNextToken(_generator));

    /// <summary>Prompt and answer.</summary>
    public int[] Sequence(int number) =>
        GenAiCalls.Ids(GenAiCalls.OgaGenerator_GetSequenceData(_generator, (nuint)number), GenAiCalls.OgaGenerator_GetSequenceCount(_generator, (nuint)number));

    public void Dispose() => GenAiCalls.OgaDestroyGenerator(_generator);
}
