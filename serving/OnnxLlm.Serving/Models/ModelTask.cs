namespace OnnxLlm.Serving.Models;

/// <summary>What models are for, in Hugging Face's words, and in those of errors.</summary>
internal static class ModelTask
{
    public const string Generation = "text-generation", FillMask = "fill-mask", Classification = "text-classification";

    /// <summary>Behind "it".</summary>
    public static string Does(string task) => task switch
    {
        FillMask => "it finds hidden tokens, at /v1/fill-mask",
        Classification => "it gives texts labels, at /v1/classify",
        _ => "it continues texts",
    };

    /// <summary>Behind "which".</summary>
    public static string Not(string task) => task switch
    {
        FillMask => "finds no hidden tokens",
        Classification => "gives no labels",
        _ => "continues no text",
    };
}
