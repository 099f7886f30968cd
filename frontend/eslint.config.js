import tseslint from "typescript-eslint";

const unsafeHtml = [
  {
    selector: "AssignmentExpression[left.property.name=/^(inner|outer)HTML$/]",
    message: "HTML is set only in a sanitising module (sanitise*.ts) or in the sandboxed frame.",
  },
  {
    selector: "CallExpression[callee.property.name=/^(insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|parseFromString)$/]",
    message: "HTML is parsed only in a sanitising module (sanitise*.ts) or in the sandboxed frame.",
  },
  {
    selector: "JSXAttribute[name.name=/^(dangerouslySetInnerHTML|innerHTML)$/]",
    message: "HTML is set only in a sanitising module (sanitise*.ts) or in the sandboxed frame.",
  },
];

export default tseslint.config(
  { ignores: ["dist/**", "node_modules/**", "src/api/schema.d.ts"] },
  ...tseslint.configs.strict,
  {
    files: ["**/*.{ts,tsx}"],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "max-lines": ["error", { max: 400, skipBlankLines: false, skipComments: false }],
      "no-restricted-syntax": ["error", ...unsafeHtml],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-console": ["error", { allow: ["warn", "error"] }],
      eqeqeq: ["error", "always"],
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: false }],
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": "error",
    },
  },
  { files: ["**/sanitise*.{ts,tsx}", "frame/**"], rules: { "no-restricted-syntax": "off" } },
);
