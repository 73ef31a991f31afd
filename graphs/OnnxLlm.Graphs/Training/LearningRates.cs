using System.Collections.Immutable;

namespace OnnxLlm.Graphs.Training;

/// <summary>Layer-wise decay of the learning rate (Howard and Ruder 2018, as in ELECTRA and BEiT).</summary>
internal static class LearningRates
{
    /// <summary>
    /// What multiplies each parameter's learning rate: 1 for what comes after the last block, decay for the last block, decay² for the one
    /// before it, and for the embeddings once more.
    /// </summary>
    public static ImmutableDictionary<ParameterInfo, double> Factors(ImmutableArray<ParameterInfo> parameters, float decay)
    {
        int layers = 1 + parameters.Max(p => p.Layer ?? -1), firstBlock = parameters.TakeWhile(p => p.Layer is null).Count();
        return parameters.Index().ToImmutableDictionary(p => p.Item, p => Math.Pow(decay, layers - (p.Item.Layer ?? (p.Index < firstBlock ? -1 : layers))));
    }
}
