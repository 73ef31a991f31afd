namespace OnnxLlm.Tools.Evaluation;

/// <summary>The logits of a window of tokens, row-major [length, vocabulary]; valid until the next call.</summary>
internal delegate ReadOnlySpan<float> WindowLogits(ReadOnlySpan<int> tokens);

/// <summary>Scores models on a text, window by window.</summary>
/// <param name="text">The tokens to be predicted.</param>
/// <param name="context">Tokens that a window holds.</param>
/// <param name="stride">Distance from one window to the next; see <see cref="EvaluationWindow.Cut"/>.</param>
internal sealed class Evaluator(EvaluationText text, int context, int stride)
{
    public PerplexityScore Score(WindowLogits model)
    {
        var losses = new RunningMean();
        foreach (var window in text.Windows(context, stride))
        {
            var logits = model(Input(window));
            for (int i = window.FirstScored; i < window.Length; i++) losses.Add(Loss(Row(logits, window, i), Target(window, i)));
        }
        return Summary(losses);
    }

    public ScoreComparison Compare(WindowLogits first, WindowLogits second)
    {
        RunningMean losses1 = new(), losses2 = new(), difference = new(), divergence = new(), agreement = new();
        foreach (var window in text.Windows(context, stride))
        {
            ReadOnlySpan<float> logits1 = first(Input(window)), logits2 = second(Input(window));
            for (int i = window.FirstScored; i < window.Length; i++)
            {
                LogitRow row1 = Row(logits1, window, i), row2 = Row(logits2, window, i);
                double loss1 = Loss(row1, Target(window, i)), loss2 = Loss(row2, Target(window, i));
                losses1.Add(loss1);
                losses2.Add(loss2);
                difference.Add(loss2 - loss1);
                divergence.Add(row1.Divergence(row2));
                agreement.Add(row1.Best == row2.Best ? 1 : 0);
            }
        }
        return new(Summary(losses1), Summary(losses2), difference.Mean, difference.StandardError, divergence.Mean, agreement.Mean);
    }

    /// <summary>The baseline on the tokens that the models are scored on.</summary>
    public PerplexityScore Score(UnigramBaseline baseline)
    {
        var losses = new RunningMean();
        foreach (int token in text.Tokens.AsSpan(1)) losses.Add(baseline.Loss(token));
        return Summary(losses);
    }

    private static double Loss(LogitRow row, int token) => double.IsFinite(row.Loss(token))
        ? row.Loss(token)
        : throw new ToolException("The model gives logits that are not numbers; it cannot be evaluated.");

    private static LogitRow Row(ReadOnlySpan<float> logits, EvaluationWindow window, int i)
    {
        int vocabulary = logits.Length / window.Length;
        return new(logits.Slice(i * vocabulary, vocabulary));
    }

    private ReadOnlySpan<int> Input(EvaluationWindow window) => text.Tokens.AsSpan((int)window.Start, window.Length);

    private int Target(EvaluationWindow window, int i) => text.Tokens[window.Start + i + 1];

    private PerplexityScore Summary(RunningMean losses) => new(losses.Count, text.ScoredBytes, losses.Mean, losses.StandardError);
}
