using OnnxLlm.Serving.Engine.Constraints;

namespace OnnxLlm.Serving.Engine;

/// <summary>The middle of the loop: runs what a plan says on the model, and chooses the tokens. Used by the engine's loop alone.</summary>
/// <param name="vocabulary">Tokens that may be chosen; what a model scores beyond them is padding.</param>
internal sealed class StepRunner(IModelRunner runner, int vocabulary, Delivery delivery, EngineObserver observer, ILogger logger)
{
    private readonly Sampler _sampler = new(vocabulary);
    private readonly int[] _tokens = new int[runner.Slots], _pasts = new int[runner.Slots];
    private readonly List<Sample> _samples = [];

    /// <summary>Copies, reads and decodes as planned. The samples are valid until the next step.</summary>
    public List<Sample> Run(StepPlan plan)
    {
        var samples = _samples;
        samples.Clear();
        foreach (var transfer in plan.Transfers) transfer.Run(runner);
        if (plan.Prefill is { } piece && plan.Decode.Count > 0 && GoesAlong(piece)) DecodeAndRead(plan.Decode, piece, samples);
        else Separately(plan, samples);
        return samples;
    }

    private void Separately(StepPlan plan, List<Sample> samples)
    {
        if (plan.Prefill is { } chunk) Prefill(chunk, samples);
        if (plan.Draft.Length > 0) Verify(plan.Decode[0], plan.Draft, samples);
        else if (plan.Decode.Count > 0) Decode(plan.Decode, samples);
    }

    /// <summary>Of a prompt that goes along only its end can have scores.</summary>
    private bool GoesAlong(PrefillChunk chunk) => runner.ReadsWhileDecoding && chunk.Sequence is { Reader: null, ScoresPrompt: false };

    /// <summary>The weights are read from memory once for both.</summary>
    private void DecodeAndRead(IReadOnlyList<Sequence> sequences, PrefillChunk chunk, List<Sample> samples)
    {
        TakeEnds(sequences);
        var logits = runner.DecodeAndRead(_tokens.AsSpan(0, sequences.Count), _pasts.AsSpan(0, sequences.Count), chunk.Slot, chunk.Tokens, chunk.Start);
        for (var i = 0; i < sequences.Count; i++) Choose(Row(logits, i), sequences[i], samples);
        if (chunk.IsLast && chunk.Sequence.MaxTokens > 0) Choose(Row(logits, sequences.Count), chunk.Sequence, samples);
    }

    private void Prefill(PrefillChunk chunk, List<Sample> samples)
    {
        if (chunk.Sequence.Reader is { } reader)
        {
            reader.Read(runner, chunk);
            return;
        }

        var scoresAll = chunk.Sequence.ScoresPrompt && runner.GivesAll;
        var logits = scoresAll ? runner.Score(chunk.Slot, chunk.Tokens, chunk.Start) : runner.Prefill(chunk.Slot, chunk.Tokens, chunk.Start);
        if (chunk.Sequence.ScoresPrompt) PublishPrompt(chunk, logits);
        if (chunk.IsLast && chunk.Sequence.MaxTokens > 0) Choose(logits[^runner.VocabularySize..], chunk.Sequence, samples);
    }

    /// <summary>
    /// Chooses behind the last token and behind each guessed one, for as long as the guess is what is chosen. Every token is chosen from the scores that
    /// it would have been chosen from otherwise, by the same random number: guesses change when tokens come, not which.
    /// </summary>
    private void Verify(Sequence sequence, int[] draft, List<Sample> samples)
    {
        int[] tokens = [sequence.LastToken, .. draft];
        var logits = runner.Score(0, tokens, sequence.Past);
        var right = 0;
        for (var row = 0; row < tokens.Length && sequence.Fault is null; row++)
        {
            Choose(Row(logits, row), sequence, samples, ahead: row);
            if (row == draft.Length || samples.Count == row || samples[row].Token != draft[row] || sequence.IsEnd(draft[row])) break;
            right++;
        }

        sequence.Draft!.Learn(draft.Length, right);
        observer.Guessed(draft.Length, right);
    }

    private ReadOnlySpan<float> Row(ReadOnlySpan<float> logits, int row) => logits.Slice(row * runner.VocabularySize, runner.VocabularySize);

    private void Decode(IReadOnlyList<Sequence> sequences, List<Sample> samples)
    {
        TakeEnds(sequences);
        ReadOnlySpan<int> tokens = _tokens.AsSpan(0, sequences.Count), pasts = _pasts.AsSpan(0, sequences.Count);
        if (TakeBest(sequences))
        {
            TakeBest(runner.DecodeBest(tokens, pasts), sequences, samples);
            return;
        }

        var logits = runner.Decode(tokens, pasts);
        for (var i = 0; i < sequences.Count; i++)
            Choose(Row(logits, i), sequences[i], samples);
    }

    /// <summary>The last tokens of sequences, and how many are before them.</summary>
    private void TakeEnds(IReadOnlyList<Sequence> sequences)
    {
        for (var i = 0; i < sequences.Count; i++) (_tokens[i], _pasts[i]) = (sequences[i].LastToken, sequences[i].Past);
    }

    private static bool TakeBest(IReadOnlyList<Sequence> sequences)
    {
        for (var i = 0; i < sequences.Count; i++)
            if (sequences[i].Alternatives is not null || !Sampler.TakesBest(sequences[i])) return false;
        return true;
    }

    /// <summary>What is no token of the tokenizer, or none at all, is looked at as if scores had been asked for.</summary>
    private void TakeBest(ReadOnlySpan<int> best, IReadOnlyList<Sequence> sequences, List<Sample> samples)
    {
        for (var i = 0; i < sequences.Count; i++)
            if ((uint)best[i] < (uint)vocabulary) samples.Add(new Sample(sequences[i], best[i], null));
            else Choose(Row(runner.DecodedScores(), i), sequences[i], samples);
    }

    /// <summary>A row that nothing can be chosen from ends its own sequence only: the others have slots of their own.</summary>
    private void Choose(ReadOnlySpan<float> row, Sequence sequence, List<Sample> samples, int ahead = 0)
    {
        var logits = row[..vocabulary];
        try
        {
            var token = _sampler.Choose(logits, sequence, ahead);
            var score = sequence.Alternatives is { } count ? LogProbs.Score(logits, token, count) : null;
            samples.Add(new Sample(sequence, token, score));
        }
        catch (ServingException fault)
        {
            logger.Note(sequence, fault, "A sequence failed.");
            sequence.Fail(fault);
        }
        catch (ConstraintException mistake)
        {
            sequence.Fail(mistake);         // the client's, who is told
        }
    }

    /// <summary>The scores after each prompt token of the chunk are about the next one. The first has none.</summary>
    private void PublishPrompt(PrefillChunk chunk, ReadOnlySpan<float> logits)
    {
        var sequence = chunk.Sequence;
        if (chunk.Start == 0)
            delivery.Add(sequence, new GeneratedToken(sequence.Prompt[0], null, IsPrompt: true));
        for (var next = chunk.Start + 1; next <= chunk.Start + chunk.Length && next < sequence.Prompt.Length; next++)
        {
            var score = LogProbs.Score(Row(logits, next - chunk.Start - 1)[..vocabulary], sequence.Prompt[next], sequence.Alternatives ?? 0);
            delivery.Add(sequence, new GeneratedToken(sequence.Prompt[next], score, IsPrompt: true));
        }
    }
}
