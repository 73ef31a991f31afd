using System.Collections.Immutable;
using System.Numerics.Tensors;
using OnnxLlm.Runtime;

namespace OnnxLlm.Serving.Engine;

/// <summary>A token that may stand in a place, or the number of a label, and how likely it is.</summary>
internal readonly record struct Candidate(int Id, double Probability);

/// <summary>A text for an encoder, from its request to what may stand in its places, or to its labels.</summary>
/// <param name="candidates">How many are told for each place.</param>
internal sealed class EncoderText(EncoderInput input, int candidates, CancellationToken cancelled)
{
    private readonly TaskCompletionSource<ImmutableArray<Candidate[]>> _found = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public EncoderInput Input => input;

    /// <summary>Its request is gone.</summary>
    public bool IsCancelled => cancelled.IsCancellationRequested;

    /// <summary>When it came; the engine's own.</summary>
    public long Arrived { get; set; }

    /// <summary>The engine's question to the model whether it still answers: not counted.</summary>
    public bool IsProbe { get; init; }

    /// <summary>The likeliest tokens, or labels, of each place, the likeliest first.</summary>
    public Task<ImmutableArray<Candidate[]>> Found => _found.Task;

    /// <summary>Works out the candidates; false, and a fault for its request, where the model gave no numbers.</summary>
    /// <param name="scores">[places, V], or [1, C] of labels.</param>
    /// <param name="most">Only the first scores of a row count.</param>
    public bool Answer(ReadOnlySpan<float> scores, int most)
    {
        var (width, found) = (scores.Length / input.Places.Length, ImmutableArray.CreateBuilder<Candidate[]>());
        for (var place = 0; place < input.Places.Length; place++)
        {
            var row = scores.Slice(place * width, Math.Min(most, width));
            if (!float.IsFinite(TensorPrimitives.Sum(row)))
            {
                Fail(new ServingException("The model returned scores that are not finite."));
                return false;
            }

            found.Add(Likeliest(row));
        }

        _found.TrySetResult(found.ToImmutable());
        return true;
    }

    public void Fail(Exception fault) => _found.TrySetException(fault);

    private Candidate[] Likeliest(ReadOnlySpan<float> row)
    {
        var best = BestTokens.Select(row, candidates);
        double highest = row[best[0]], sum = 0;
        foreach (var score in row) sum += Math.Exp(score - highest);
        var likeliest = new Candidate[best.Length];
        for (var i = 0; i < best.Length; i++) likeliest[i] = new(best[i], Math.Exp(row[best[i]] - highest) / sum);
        return likeliest;
    }
}
